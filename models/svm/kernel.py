"""Kernels of raw pixels, computed so that float32 is enough.

The textbook's ``|x|^2 + |z|^2 - 2 x.z`` loses the digits that the three terms share. Here the pixels stay whole grey
levels and the centre that is subtracted first is a whole level, too: differences, products and all sums below 2^24 are
then exact in float32, and larger ones are relative to the spread of the data, not to its brightness.
"""

from __future__ import annotations

import torch
from torch import Tensor

from data import at_once

WHITE = 255.0
"""The grey level that counts as 1."""
ROWS = 2000
"""Images whose kernel is computed at a time at most, which bounds the memory beside the matrix itself."""


def squared_distances(x: Tensor, z: Tensor) -> Tensor:
    """Return float [N, M], at least 0, between the rows of ``x`` [N, D] and ``z`` [M, D], both centred levels."""
    lengths = x.square().sum(dim=1, keepdim=True) + z.square().sum(dim=1)
    return (lengths - 2 * (x @ z.T)).clamp(min=0)


def rbf(x: Tensor, z: Tensor, gamma: Tensor | float, dtype: torch.dtype | None = None) -> Tensor:
    """Return ``exp(-gamma * |x - z|^2)`` [N, M] of centred levels; ``gamma`` is for pixels in [0, 1].

    ``dtype`` is that of the exponential, by default that of ``x``: a whole distance deserves more digits than it has.
    """
    return torch.exp(squared_distances(x, z).to(dtype or x.dtype) * (-gamma / WHITE**2))


def centre(images: Tensor) -> Tensor:
    """Return the mean of uint8 ``images`` [N, D], to the nearest level: float64 [D]."""
    total = sum(rows.double().sum(dim=0) for rows in images.split(_rows(images)))
    return (total / len(images)).round()


def matrix(
    images: Tensor, middle: Tensor, landmarks: Tensor | None, gamma: float, dtype: torch.dtype
) -> Tensor:
    """Return what the solvers work on, ``dtype`` [N, M], of uint8 ``images`` [N, D] and ``landmarks`` [M, D].

    ``rbf`` with each of the landmarks or, where they are None, the centred pixels in units of :data:`WHITE`.
    """
    middle = middle.to(dtype)
    z = None if landmarks is None else landmarks.to(dtype) - middle
    width = images.shape[1] if z is None else len(z)
    out = torch.empty(len(images), width, dtype=dtype, device=images.device)
    for rows, chunk in zip(out.split(_rows(images)), images.split(_rows(images)), strict=True):
        x = chunk.to(dtype) - middle
        rows.copy_(x / WHITE if z is None else rbf(x, z, gamma))
    return out


def _rows(images: Tensor) -> int:
    return at_once.pictures(images.shape[1:], ROWS)
