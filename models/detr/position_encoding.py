"""Positions as sines and cosines: of the cells of a feature map (DETR, section 3.2) and of boxes (DAB-DETR, 3.3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TEMPERATURE = 20.0
"""Slowest against fastest wave: the papers' value for pictures of a few dozen cells a side (DAB-DETR, section 3.5)."""


def waves(x: Tensor, width: int) -> Tensor:
    """Return float [..., width]: sines and cosines of ``x`` in [0, 1], from one turn to ``TEMPERATURE`` times slower.

    Raises:
        ValueError: ``width`` is odd.
    """
    if width % 2:
        raise ValueError(f"a width of {width} does not hold sines and cosines alike")
    half = width // 2
    frequencies = 2 * math.pi * TEMPERATURE ** -(torch.arange(half, device=x.device) / half)
    angles = x[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def of_points(points: Tensor, width: int) -> Tensor:
    """Return float [..., width] of points [..., 2] (x, y) in [0, 1]: half of it tells y, half x."""
    return torch.cat([waves(points[..., 1], width // 2), waves(points[..., 0], width // 2)], dim=-1)


def of_boxes(centre: Tensor, width: int) -> Tensor:
    """Return float [..., 2 * width] of centre boxes [..., 4]: where they are, then how large."""
    y_x_h_w = torch.stack([centre[..., k] for k in (1, 0, 3, 2)], dim=-1)
    return waves(y_x_h_w, width // 2).flatten(-2)


def cells(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Return float [height * width, 2]: the cells' middles (x, y) in [0, 1], row by row."""
    x, y = middles(width, device)[None, :], middles(height, device)[:, None]
    return torch.stack(torch.broadcast_tensors(x, y), dim=-1).flatten(0, 1)


def middles(size: int, device: torch.device | None = None) -> Tensor:
    """Return float [size]: the middles of ``size`` cells along a side, in [0, 1]."""
    return (torch.arange(size, device=device) + 0.5) / size
