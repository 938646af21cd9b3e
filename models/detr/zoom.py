"""Stretched and shifted pictures, with the boxes that belong to them, and another brightness and contrast."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from models.blocks import draws

VISIBLE = 0.4
"""Objects of which less than this share is still in the picture are no objects any more."""


def zoom(
    x_bchw: Tensor, labels: Tensor, corners: Tensor, reach: float, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Stretch each side of each picture by up to ``reach`` and shift it by as much; what is beyond an edge repeats it.

    Along the sides only, so that a box stays the box of its object.

    Args:
        x_bchw: float [N, C, H, W].
        labels: int64 [N, M], -1 where there is no object.
        corners: corner boxes [N, M, 4] in [0, 1].
        reach: 0 for the pictures as they are.
        generator: of the draws.

    Returns:
        The same three, changed.
    """
    if reach == 0:
        return x_bchw, labels, corners
    num, _, height, width = x_bchw.shape
    drawn = 2 * draws.rand(2, num, 2, generator=generator, device=x_bchw.device, along=1) - 1
    scale = torch.exp(drawn[0] * reach)  # of x and of y
    start = (1 - scale) / 2 + drawn[1] * reach / 2
    rows = _weights(height, scale[:, 1], start[:, 1])[:, None]
    columns = _weights(width, scale[:, 0], start[:, 0])[:, None]
    moved = corners * scale.repeat(1, 2)[:, None] + start.repeat(1, 2)[:, None]
    clipped = moved.clamp(0, 1)
    there = (labels >= 0) & (_area(clipped) >= VISIBLE * _area(moved))
    x_bchw = rows @ x_bchw @ columns.transpose(2, 3)
    return x_bchw, torch.where(there, labels, -1), clipped * there[..., None]


def relight(x_bchw: Tensor, reach: float, generator: Generator) -> Tensor:
    """Change contrast about the middle grey, by up to ``reach``, and brightness, by half as much."""
    if reach == 0:
        return x_bchw
    drawn = 2 * draws.rand(2, len(x_bchw), 1, 1, 1, generator=generator, device=x_bchw.device, along=1) - 1
    return ((x_bchw - 0.5) * torch.exp(drawn[0] * reach) + 0.5 + drawn[1] * reach / 2).clamp(0, 1)


def _weights(size: int, scale: Tensor, start: Tensor) -> Tensor:
    """Return float [N, size, size]: how much of each old row (last axis) each new row takes, linear between two."""
    places = torch.arange(size, device=scale.device)
    old = (((places + 0.5) / size - start[:, None]) / scale[:, None] * size - 0.5).clamp(0, size - 1)
    return (1 - (old[..., None] - places).abs()).clamp(min=0)


def _area(corners: Tensor) -> Tensor:
    return (corners[..., 2:] - corners[..., :2]).prod(dim=-1)
