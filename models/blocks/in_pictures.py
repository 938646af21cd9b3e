"""Boxes of a fitted picture as boxes of the picture as it came, within the graph: so every client gets them so."""

from __future__ import annotations

import torch
from torch import Tensor

from data.fit import Fit


def in_pictures(corners: Tensor, size: Tensor, fit: Fit, target: tuple[int, int]) -> Tensor:
    """Return corner boxes in pixels of the pictures; what is beyond a picture's border ends there.

    Args:
        corners: float [N, Q, 4], x0, y0, x1, y1 in [0, 1] of what the graph sees.
        size: int64 [N, 2], height and width of the pictures as they came.
        fit: how they were brought to what the graph sees (``data/fit.py``, whose arithmetic this is).
        target: height and width of that.
    """
    height, width = size.float().unbind(dim=1)
    sides = torch.stack([width, height, width, height], dim=1)[:, None]
    if fit == "stretch":
        return corners.clamp(0, 1) * sides
    first, last = _window(size.double().flip(1), fit, target[::-1])
    first, last = (torch.cat([ends, ends], dim=1)[:, None].float() for ends in (first, last))
    return (first + corners.clamp(0, 1) * (last - first)).clamp(min=0).minimum(sides)


def _window(size: Tensor, fit: Fit, target: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the upper left and the lower right corner of what is seen, float64 [N, 2]: x and y in pixels."""
    goal = size.new_tensor(target)
    scales = goal / size
    if fit == "crop":
        seen = (goal / scales.amax(dim=1, keepdim=True)).minimum(size)
        first = (size - seen) / 2
        return first, first + seen
    inner = (size * scales.amin(dim=1, keepdim=True) + 0.5).floor().clamp(min=1).minimum(goal)
    beside = ((goal - inner) / 2).floor()
    return -beside * size / inner, (goal - beside) * size / inner
