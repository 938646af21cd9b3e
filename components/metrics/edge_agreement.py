"""How well images keep to edge maps: the F1 of their own edges."""

from __future__ import annotations

import math

import numpy as np

from data import at_once
from data.image_statistics import grey
from data.recipes.edges import edges

BESIDE = 0.0075
"""An edge may lie so much of the image's diagonal beside another and still be the same: no pixel in small images."""

_CHUNK = 512


def f1(images: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return for each image the F1 of its edges, float64 [N]; an edge is right where one is asked for, or beside one.

    Precision and recall of boundaries (Martin et al. 2004, "Learning to Detect Natural Image Boundaries", section 4),
    with their tolerance, but without their assignment of one edge to one. An image without edges of which none are
    asked for is right.

    Args:
        images: uint8 [N, H, W, C].
        asked: uint8 [N, H, W, 1], 0 where there shall be no edge.
    """
    size = at_once.pictures(images.shape[1:], _CHUNK)
    parts = range(0, len(images), size)
    return np.concatenate([_f1(images[k : k + size], asked[k : k + size, ..., 0] > 0) for k in parts])


def _f1(images: np.ndarray, asked: np.ndarray) -> np.ndarray:
    found = edges(grey(images)) > 0
    beside = int(BESIDE * math.hypot(*found.shape[1:]))
    right = (
        (found & thickened(asked, beside)).sum(axis=(1, 2)),
        (asked & thickened(found, beside)).sum(axis=(1, 2)),
    )
    number = found.sum(axis=(1, 2)), asked.sum(axis=(1, 2))
    precision, recall = (
        np.where(of > 0, part / np.maximum(of, 1), 1.0) for part, of in zip(right, number, strict=True)
    )
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


def thickened(found: np.ndarray, beside: int) -> np.ndarray:
    """Return bool [N, H, W]: an edge of ``found`` is there, or at most ``beside`` rows and columns away."""
    height, width = found.shape[1:]
    padded = np.pad(found, ((0, 0), (beside, beside), (beside, beside)))
    moves = range(2 * beside + 1)
    return np.logical_or.reduce([padded[:, y : y + height, x : x + width] for y in moves for x in moves])
