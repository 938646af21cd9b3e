"""What samples are held against: the classes of the nearest training images, and the distance to the test images."""

from __future__ import annotations

import numpy as np

from components import bootstrap
from components.bootstrap import Interval
from data.prepared import PreparedData

COVERED = 0.1
"""A class is covered when at least this much of its fair share, 1 / K, of the samples falls to it."""

FEATURES = 64
_PCA_IMAGES = 10_000
_CHUNK = 2**22  # products held at once


def class_shares(images: np.ndarray, data: PreparedData) -> np.ndarray:
    """Return float64 [K]: the share of ``images`` whose nearest training image (in pixels) is of each class."""
    classes = data.train.labels[nearest(images, data.train.images)]
    return np.bincount(classes, minlength=data.spec.num_classes) / len(images)


def classes_covered(shares: np.ndarray, size: int) -> Interval:
    """Return how many classes at least a tenth of their fair share of ``size`` samples falls to, with its interval."""
    least = COVERED / len(shares)
    counts = np.random.default_rng(0).multinomial(size, shares, size=bootstrap.DRAWS)
    return bootstrap.percentile(float((shares >= least).sum()), (counts / size >= least).sum(axis=1))


def nearest(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return int64 [N]: for each of ``images`` uint8 [N, ...] the index of the nearest of ``references`` uint8 [M, ...].

    Distances are exact: sums of products of bytes are whole numbers below 2**53, whatever the order of the sums. The
    first of equally near ones is taken.
    """
    queries = images.reshape(len(images), -1).astype(np.float64)
    best = np.full(len(queries), np.inf)
    index = np.zeros(len(queries), dtype=np.int64)
    step = max(1, _CHUNK // len(queries))
    for start in range(0, len(references), step):
        chunk = references[start : start + step].reshape(-1, queries.shape[1]).astype(np.float64)
        # |a - b|^2 without |a|^2, which is the same for all references.
        distance = (chunk**2).sum(axis=1) - 2 * queries @ chunk.T
        closest = distance.argmin(axis=1)
        value = distance[np.arange(len(queries)), closest]
        index = np.where(value < best, start + closest, index)
        best = np.minimum(value, best)
    return index


def kernel_distance(images: np.ndarray, data: PreparedData) -> Interval:
    """Return the squared maximum mean discrepancy between ``images`` and as many test images, with its interval.

    The unbiased estimate with the cubic kernel of the Kernel Inception Distance (Binkowski et al., "Demystifying MMD
    GANs", 2018, section 4), on principal components of the training pixels in place of Inception features: the
    components are those of the data set alone, so that distances of different models compare. About 0 for samples
    of the true distribution, where it may fall below 0. The interval draws samples and test images anew.
    """
    project = principal_components(data.train.images)
    generated, real = project(images), project(data.test.images[: len(images)])
    return _discrepancy(_kernel(generated, generated), _kernel(real, real), _kernel(generated, real))


def principal_components(images: np.ndarray):
    """Return the map of images uint8 [N, ...] to float64 [N, F], fitted on ``images``: F at most 64, mean square 1."""
    pixels = images[:_PCA_IMAGES].reshape(min(len(images), _PCA_IMAGES), -1) / 255.0
    mean = pixels.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(pixels - mean, rowvar=False))
    kept = directions[:, ::-1][:, :FEATURES]
    scale = np.sqrt(variances[::-1][:FEATURES].mean())

    def project(images: np.ndarray) -> np.ndarray:
        return (images.reshape(len(images), -1) / 255.0 - mean) @ kept / scale

    return project


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
