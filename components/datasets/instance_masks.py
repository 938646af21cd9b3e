"""Masks of the objects of a picture as bytes: a PNG of 16-bit numbers, 0 the ground and k + 1 of object k."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from data.fit import Fit, lay
from data.prepared import UNCOUNTED
from data.spec import ImageSpec


def encode(instances_hw: np.ndarray | None) -> bytes | None:
    """Return the PNG of uint16 [H, W]; None of None, an image whose objects could not be placed."""
    if instances_hw is None:
        return None
    content = io.BytesIO()
    Image.fromarray(instances_hw).save(content, "PNG", compress_level=1)
    return content.getvalue()


def decode(content: bytes, values: np.ndarray, height: int, width: int, fit: Fit = "stretch") -> np.ndarray:
    """Return the mask that models learn, uint8 [height, width].

    Args:
        content: the PNG, of the picture's own size.
        values: uint8 [1 + n], what becomes of the ground and of each object, as :func:`values` gives it.
        height: rows of the mask.
        width: columns of the mask. A pixel of it is the nearest of the picture's: classes have no mean.
        fit: what becomes of the picture's aspect; what is beside a padded one is not counted.
    """
    image = Image.open(io.BytesIO(content), formats=["PNG"])
    mask = Image.fromarray(values[np.asarray(image)])
    laid = lay(mask, fit, image.size, (width, height), UNCOUNTED, Image.Resampling.NEAREST)
    return np.asarray(laid)


def of_row(content: bytes, row: Mapping[str, Any], index: Mapping[str, int], image: ImageSpec) -> np.ndarray:
    """Return the mask of a row of the manifest, as :func:`decode`; ``index``: the number of each class."""
    labels = np.array([index[name] for name in row["categories"]], np.int64)
    found = values(labels, np.asarray(row["crowd"], dtype=bool))
    return decode(content, found, image.height, image.width, image.fit)


def values(labels: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return uint8 [1 + n]: 0 for the ground, of each object its class's index (``labels`` [n]) + 1, of a crowd 255."""
    return np.concatenate([[0], np.where(crowd, UNCOUNTED, labels + 1)]).astype(np.uint8)
