"""What samples are held against: classes of the nearest training images, distance to the test images."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from components import bootstrap
from components.bootstrap import Interval
from data.prepared import PreparedData

COVERED = 0.1
"""A class is covered when at least this much of its fair share, 1 / K, of the samples falls to it."""

FEATURES = 64
NUMBERS = 1024
"""Images of more numbers than this are compared by averages over square blocks, at about so many numbers."""

_PCA_IMAGES = 5_000
_CHUNK = 2**22  # products held at once


def classes(images: np.ndarray, data: PreparedData) -> np.ndarray:
    """Return int64 [N]: the class of the training image that is nearest to each of ``images``."""
    return data.train.labels[nearest(images, data.train.images)]


def classes_covered(shares: np.ndarray, size: int) -> Interval:
    """Return how many classes have at least a tenth of their fair share of ``size`` samples."""
    least = COVERED / len(shares)
    counts = np.random.default_rng(0).multinomial(size, shares, size=bootstrap.DRAWS)
    return bootstrap.percentile(float((shares >= least).sum()), (counts / size >= least).sum(axis=1))


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


def kernel_distance(images: np.ndarray, data: PreparedData) -> Interval:
    """Return the squared maximum mean discrepancy between ``images`` and as many test images.

    The unbiased estimate with the cubic kernel of the Kernel Inception Distance (Binkowski et al.,
    "Demystifying MMD GANs", 2018, section 4), on principal components of the training pixels in place of
    Inception features: the components are those of the data set alone, so that distances of different models
    compare. About 0 for samples of the true distribution, where it may fall below 0. The interval draws
    samples and test images anew.
    """
    project = principal_components(data.train.images)
    generated, real = project(images), project(data.test.images[: len(images)])
    return _discrepancy(_kernel(generated, generated), _kernel(real, real), _kernel(generated, real))


def principal_components(images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the map, fitted on ``images``, of uint8 [N, H, W, C] to at most 64 features of mean square 1."""
    pixels = _pixels(images[:_PCA_IMAGES])
    mean = pixels.mean(axis=0)
    variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(pixels, rowvar=False)))
    kept = directions[:, ::-1][:, :FEATURES]
    # Training images that are all alike have no scale: their distances are taken as they are.
    scale = np.sqrt(max(variances[::-1][:FEATURES].mean(), 0.0)) or 1.0
    return lambda images: (_pixels(images) - mean) @ kept / scale


def _pixels(images: np.ndarray) -> np.ndarray:
    """Return the pixels of uint8 [N, H, W, C] as float64 [N, D]; of large images the sums over blocks."""
    count, height, width, channels = images.shape
    block = math.ceil(math.sqrt(height * width * channels / NUMBERS))
    rows, columns = max(1, height // block), max(1, width // block)
    whole = images[:, : rows * block, : columns * block]
    blocks = whole.reshape(count, rows, whole.shape[1] // rows, columns, whole.shape[2] // columns, channels)
    return blocks.sum(axis=(2, 4), dtype=np.float64).reshape(count, -1)


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _discrepancy(aa: np.ndarray, bb: np.ndarray, ab: np.ndarray) -> Interval:
    """Return the U-statistic of kernel matrices [n, n], [m, m], [n, m]; drawn again, no item meets itself."""

    def estimate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (
            _mean_pair(aa, a)
            + _mean_pair(bb, b)
            - 2 * ((a @ ab) * b).sum(axis=1) / (a.sum(axis=1) * b.sum(axis=1))
        )

    random = np.random.default_rng(0)
    counts = [
        random.multinomial(len(k), np.full(len(k), 1 / len(k)), size=500).astype(np.float64) for k in (aa, bb)
    ]
    once = [np.ones((1, len(k))) for k in (aa, bb)]
    return bootstrap.percentile(float(estimate(*once)[0]), estimate(*counts))


def _mean_pair(kernel: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return [B]: the kernel's mean over pairs of different items, weighted by ``counts`` [B, n]."""
    pairs = ((counts @ kernel) * counts).sum(axis=1) - counts**2 @ np.diag(kernel)
    return pairs / (counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1))
