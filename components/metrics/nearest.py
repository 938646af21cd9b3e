"""What samples are held against: the nearest training images, and the classes that there are."""

from __future__ import annotations

import math

import numpy as np

from components.metrics import bootstrap
from components.metrics.bootstrap import Interval
from data.prepared import PreparedData

COVERED = 0.1
"""A class is covered when at least this much of its fair share, 1 / K, of the samples falls to it."""

NUMBERS = 1024
"""Images of more numbers than this are compared by averages over square blocks, about as many as this."""

NEAR = 0.01
"""This share of the test images is nearer to a training image than what counts as memorised."""

MOST = 2048
"""Greatest number of real images of a split to compare with."""

_CHUNK = 2**22  # products held at once


def evenly(values: np.ndarray, most: int = MOST) -> np.ndarray:
    """Return at most ``most`` of ``values``, evenly spread: they may be in the order of their classes."""
    if len(values) <= most:
        return values
    return values[np.arange(most) * len(values) // most]


def classes_covered(shares: np.ndarray, size: int) -> Interval:
    """Return how many classes have at least a tenth of their fair share of ``size`` samples."""
    least = COVERED / len(shares)
    counts = np.random.default_rng(0).multinomial(size, shares, size=bootstrap.DRAWS)
    return bootstrap.percentile(float((shares >= least).sum()), (counts / size >= least).sum(axis=1))


def memorised(images: np.ndarray, data: PreparedData) -> Interval:
    """Return the share of ``images`` that lie nearer to a training image than 99 of 100 test images do.

    In pixels, where a copy is a copy. By chance it is 0.01: so much of fresh images of the true distribution.
    """
    usual = distances(evenly(data.test.images), data.train.images)
    return bootstrap.proportion(distances(images, data.train.images) < np.quantile(usual, NEAR))


def distances(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return float64 [N]: the distance of each of ``images`` to the nearest of ``references``, uint8 [-1, H, W, C]."""
    apart = _pixels(images) - _pixels(references[nearest(images, references)])
    return np.sqrt((apart**2).sum(axis=1))


def nearest(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return int64 [N]: for each of ``images`` the nearest of ``references``, both uint8 [-1, H, W, C].

    Distances are exact, whatever the order of the sums: they are of whole numbers below 2**53. Of equally
    near ones the first is taken.
    """
    queries = _pixels(images)
    best = np.full(len(queries), np.inf)
    index = np.zeros(len(queries), dtype=np.int64)
    step = max(1, _CHUNK // max(queries.shape))
    for start in range(0, len(references), step):
        chunk = _pixels(references[start : start + step])
        # |a - b|^2 without |a|^2, which is the same for all references.
        distance = (chunk**2).sum(axis=1) - 2 * queries @ chunk.T
        closest = distance.argmin(axis=1)
        value = distance[np.arange(len(queries)), closest]
        index = np.where(value < best, start + closest, index)
        best = np.minimum(value, best)
    return index


def _pixels(images: np.ndarray) -> np.ndarray:
    """Return the pixels of uint8 [N, H, W, C] as float64 [N, D]; of large images the sums over blocks."""
    count, height, width, channels = images.shape
    block = math.ceil(math.sqrt(height * width * channels / NUMBERS))
    rows, columns = max(1, height // block), max(1, width // block)
    whole = images[:, : rows * block, : columns * block]
    blocks = whole.reshape(count, rows, whole.shape[1] // rows, columns, whole.shape[2] // columns, channels)
    return blocks.sum(axis=(2, 4), dtype=np.float64).reshape(count, -1)
