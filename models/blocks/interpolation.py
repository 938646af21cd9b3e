"""Walks through a space of normal noise, for pictures of what lies between two images."""

from __future__ import annotations

import torch
from torch import Tensor


def spherical(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return [N, steps, Z], from ``start`` to ``end`` [N, Z] along great circles (White 2016, "Sampling generative
    networks", section 2.1): on a straight line the noise would be shorter than any that the model knows.
    """
    share = torch.linspace(0, 1, steps, device=start.device)[:, None]
    cosine = (start * end).sum(dim=1) / (start.norm(dim=1) * end.norm(dim=1))
    angle = cosine.clamp(-0.999, 0.999).acos()[:, None, None]
    weights = torch.sin((1 - share) * angle) / torch.sin(angle), torch.sin(share * angle) / torch.sin(angle)
    return weights[0] * start[:, None] + weights[1] * end[:, None]
