"""How near an image comes to the one that it should be: mean absolute error, and structural similarity."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from data import at_once
from data.arrays import Array

WINDOW = 7
"""Sides of the window that structure is compared in; smaller images are compared as a whole."""

_CHUNK = 256


def absolute_error(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return float64 [N], the mean absolute difference on [0, 1] of ``images`` and ``targets``.

    Args:
        images: [N, H, W, C] in 0 .. 255, or [1, H, W, C] for all.
        targets: uint8 [N, H, W, C].
    """
    parts = []
    size = at_once.pictures(targets.shape[1:], _CHUNK)
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        ours = images if len(images) == 1 else images[part]
        parts.append(np.abs(ours.astype(np.float64) - targets[part]).mean(axis=(1, 2, 3)) / 255)
    return np.concatenate(parts)


def mean_image(images: Array) -> np.ndarray:
    """Return float64 [H, W, C], the mean of ``images`` uint8 [N, H, W, C]; sums of whole numbers are exact."""
    starts = range(0, len(images), _CHUNK)
    return sum(images[i : i + _CHUNK].sum(axis=0, dtype=np.float64) for i in starts) / len(images)


def structural_similarity(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return float64 [N] in [-1, 1], 1 for equal images, of uint8 [N, H, W, C] each.

    The mean structural similarity (Wang et al., "Image quality assessment: from error visibility to structural
    similarity", 2004, section III-B, equation 13) over channels and over the windows that lie wholly in the image;
    each pixel of a window counts alike.
    """
    size = at_once.pictures(targets.shape[1:], _CHUNK)
    starts = range(0, len(targets), size)
    return np.concatenate([_similarity(images[i : i + size], targets[i : i + size]) for i in starts])


def _similarity(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    x, y = images.astype(np.float64), targets.astype(np.float64)
    mean_x, mean_y = _window_means(x), _window_means(y)
    variance_x, variance_y = _window_means(x * x) - mean_x**2, _window_means(y * y) - mean_y**2
    covariance = _window_means(x * y) - mean_x * mean_y
    least_mean, least_variance = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + least_mean) / (mean_x**2 + mean_y**2 + least_mean)
    structure = (2 * covariance + least_variance) / (variance_x + variance_y + least_variance)
    return (luminance * structure).mean(axis=(1, 2, 3))


def _window_means(values: np.ndarray) -> np.ndarray:
    for axis in (1, 2):
        values = sliding_window_view(values, min(WINDOW, values.shape[axis]), axis=axis).mean(axis=-1)
    return values
