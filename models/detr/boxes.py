"""Boxes, in two formats, and how far two of them overlap. All numbers are shares of the picture's sides.

- corners: x0, y0, x1, y1, as data sets and answers have them;
- centre: centre x, centre y, width, height, as the network regresses them.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-7
"""Areas are not taken for smaller than this when they divide."""


def to_corners(centre: Tensor) -> Tensor:
    """Turn centre boxes [..., 4] into corner boxes [..., 4]."""
    middle, size = centre.split(2, dim=-1)
    return torch.cat([middle - size / 2, middle + size / 2], dim=-1)


def to_centre(corners: Tensor) -> Tensor:
    """Turn corner boxes [..., 4] into centre boxes [..., 4]."""
    first, last = corners.split(2, dim=-1)
    return torch.cat([(first + last) / 2, last - first], dim=-1)


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and generalised IoU of corner boxes, [...] of two [..., 4] that broadcast.

    ``GIoU = IoU - (hull - union) / hull`` (Rezatofighi et al. 2019), in [-1, 1]: boxes that do not meet have a
    gradient too.
    """
    inside = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    intersection = inside.clamp(min=0).prod(dim=-1)
    union = _area(a) + _area(b) - intersection
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(dim=-1)
    iou = intersection / union.clamp(min=EPSILON)
    return iou, iou - (hull - union) / hull.clamp(min=EPSILON)


def logit(x: Tensor, margin: float = 1e-3) -> Tensor:
    """Return the inverse of the sigmoid, of ``x`` kept ``margin`` away from 0 and 1."""
    x = x.clamp(margin, 1 - margin)
    return torch.log(x / (1 - x))


def _area(corners: Tensor) -> Tensor:
    return (corners[..., 2:] - corners[..., :2]).prod(dim=-1)
