"""Edge maps of grey images, in whole numbers alone: the same bits on every machine.

Canny's detector (Canny 1986, "A computational approach to edge detection"): gradients, thinning to the crest of each
slope, and two thresholds. Without his smoothing: images here are small, and it would take what detail they have.
"""

from __future__ import annotations

import numpy as np

WEAK, STRONG = 0.15, 0.3
"""Of the steepest slope in the image: above the second an edge begins, and it goes on while above the first."""

_TANGENT = 106 / 256
"""Of 22.5 degrees, to three digits: beyond it a slope counts as diagonal."""


def edges(images_nhw: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W], 255 on edges and 0 elsewhere, of uint8 [N, H, W]. A flat image has none."""
    across, down = _sobel(images_nhw)
    steep = across**2 + down**2
    crest = steep * _is_crest(steep, across, down)
    highest = steep.max(axis=(1, 2), keepdims=True)
    weak = crest > WEAK**2 * highest
    found = crest > STRONG**2 * highest
    while (grown := _beside(found) & weak).sum() > found.sum():
        found = grown
    return np.where(found, np.uint8(255), np.uint8(0))


def _sobel(images_nhw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes to the right and down, int32 [N, H, W] each; the border goes on as it is."""
    x = np.pad(images_nhw.astype(np.int32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    smooth_rows = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    smooth_columns = x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]
    return smooth_rows[:, :, 2:] - smooth_rows[:, :, :-2], smooth_columns[:, 2:] - smooth_columns[:, :-2]


def _is_crest(steep: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return bool [N, H, W]: no lower than the neighbour uphill, and higher than the one downhill."""
    flat, upright = np.abs(down) <= _TANGENT * np.abs(across), np.abs(across) <= _TANGENT * np.abs(down)
    falling = across * down > 0  # towards the lower right, or from there
    steps = [(0, 1), (1, 0), (1, 1), (1, -1)]
    chosen = np.select([flat, upright, falling], [0, 1, 2], default=3)
    crest = np.zeros(steep.shape, dtype=bool)
    for index, (row, column) in enumerate(steps):
        higher = (steep >= _moved(steep, row, column)) & (steep > _moved(steep, -row, -column))
        crest |= (chosen == index) & higher
    return crest


def _beside(found: np.ndarray) -> np.ndarray:
    """Return bool [N, H, W]: found, or one of its eight neighbours is."""
    rows = found | _moved(found, 1, 0) | _moved(found, -1, 0)
    return rows | _moved(rows, 0, 1) | _moved(rows, 0, -1)


def _moved(values: np.ndarray, row: int, column: int) -> np.ndarray:
    """Return what lies ``row`` further down and ``column`` further right of each pixel; 0 beyond the border."""
    height, width = values.shape[1:]
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width]
