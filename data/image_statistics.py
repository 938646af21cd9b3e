"""Brightness, contrast, sharpness and perceptual hash of images: the columns that drift is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from data.images import WHITE, Colour, flatten
from data.perceptual_hash import MAX_SIDE, perceptual_hash

# The weights of Pillow's convert("L"), of 65,536.
_LUMA = np.array([19595, 38470, 7471])


@dataclass(frozen=True)
class Statistics:
    """One entry per image.

    Attributes:
        brightness: mean grey value, float64 in [0, 1].
        contrast: standard deviation of the grey values, float64 in [0, 0.5].
        sharpness: standard deviation of the grey values' Laplacian, float64, 0 when all is flat; a side under
            3: 0. phash: perceptual hash, uint64.
    """

    brightness: np.ndarray
    contrast: np.ndarray
    sharpness: np.ndarray
    phash: np.ndarray


def measure(images_nhw: np.ndarray) -> Statistics:
    """Measure grey images, uint8 [N, H, W]. Sums are of whole numbers: the same on every machine."""
    count = images_nhw.shape[1] * images_nhw.shape[2]
    total = images_nhw.sum(axis=(1, 2), dtype=np.int64)
    squares = np.square(images_nhw, dtype=np.int64).sum(axis=(1, 2))
    return Statistics(
        brightness=total / (count * 255),
        contrast=_deviation(total, squares, count) / 255,
        sharpness=_sharpness(images_nhw),
        phash=perceptual_hash(images_nhw),
    )


def grey(images_nhwc: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W] of grey or RGB images, uint8 [N, H, W, C], as Pillow makes them grey."""
    if images_nhwc.shape[3] == 1:
        return images_nhwc[..., 0]
    return ((images_nhwc @ _LUMA + 0x8000) >> 16).astype(np.uint8)


def grey_of(image: Image.Image, ground: Colour = WHITE) -> np.ndarray:
    """Return what of a decoded image is measured, uint8 [H, W]: a large one averaged down to ``MAX_SIDE`` a side.

    Raises:
        DecodeError: its pixels cannot be brought to grey.
    """
    grey = flatten(image, "L", ground)
    factor = -(-max(grey.size) // MAX_SIDE)
    return np.asarray(grey.reduce(factor) if factor > 1 else grey)


def _sharpness(images_nhw: np.ndarray) -> np.ndarray:
    if min(images_nhw.shape[1:]) < 3:
        return np.zeros(len(images_nhw))
    x = images_nhw.astype(np.int16)  # wide enough, and in place: half of the memory, a quarter of the time
    laplacian = 4 * x[:, 1:-1, 1:-1]
    for beside in (x[:, :-2, 1:-1], x[:, 2:, 1:-1], x[:, 1:-1, :-2], x[:, 1:-1, 2:]):
        laplacian -= beside
    # Whole numbers: sums stay below 2**53, up to where float64 is exact.
    values = laplacian.reshape(len(laplacian), -1).astype(np.float64)
    total, squares = values.sum(axis=1), np.einsum("np,np->n", values, values)
    return _deviation(total.astype(np.int64), squares.astype(np.int64), values.shape[1]) / 255


def _deviation(total: np.ndarray, squares: np.ndarray, count: int) -> np.ndarray:
    # Exact until the division: int64 holds count * squares for a million pixels.
    return np.sqrt((count * squares - total**2) / count**2)
