"""Masks of the objects of a picture as bytes: a PNG of 16-bit numbers, 0 the ground and k + 1 of object k."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from data.prepared import UNCOUNTED


def encode(instances_hw: np.ndarray | None) -> bytes | None:
    """Return the PNG of uint16 [H, W]; None of None, an image whose objects could not be placed."""
    if instances_hw is None:
        return None
    content = io.BytesIO()
    Image.fromarray(instances_hw).save(content, "PNG", compress_level=1)
    return content.getvalue()


def decode(content: bytes, values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the mask that models learn, uint8 [height, width].

    Args:
        content: the PNG, of the picture's own size.
        values: uint8 [1 + n], what becomes of the ground and of each object, as :func:`values` gives it.
        height: rows of the mask.
        width: columns of the mask. A pixel of it is the nearest of the picture's: classes have no mean.
    """
    image = Image.open(io.BytesIO(content), formats=["PNG"])
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.NEAREST)
    return values[np.asarray(image)]


def values(labels: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return uint8 [1 + n]: 0 for the ground, of each object its class's index (``labels`` [n]) + 1, of a crowd 255."""
    return np.concatenate([[0], np.where(crowd, UNCOUNTED, labels + 1)]).astype(np.uint8)
