"""Distances between generated and real images in a judge's features: Fréchet and kernel."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from components.metrics import bootstrap
from components.metrics.bootstrap import Interval

GROUPS = 20
"""Parts that are left out one at a time for the interval of the Fréchet distance."""

_DRAWS = 500


def frechet(generated: np.ndarray, real: np.ndarray) -> Interval:
    """Return the Fréchet distance of normal distributions with the moments of ``generated`` and ``real``, [N, D] each.

    |m - n|^2 + tr(S + T - 2 (S T)^(1/2)) (Heusel et al. 2017, equation 6): what FID is on Inception features. It is
    biased upward by little data, so a bootstrap, which sees each item twice or not at all, would lie above it; the
    interval is normal, by the grouped jackknife over both sets (Efron & Tibshirani, chapter 11).
    """
    generated, real = generated.astype(np.float64), real.astype(np.float64)
    value = _frechet(generated, real)
    variance = _jackknife(generated, lambda left: _frechet(left, real))
    variance += _jackknife(real, lambda left: _frechet(generated, left))
    reach = NormalDist().inv_cdf((1 + bootstrap.LEVEL) / 2) * np.sqrt(variance)
    return Interval(value, max(0.0, float(value - reach)), float(value + reach))


def kernel(
    generated: np.ndarray,
    real: np.ndarray,
    generated_strata: np.ndarray | None = None,
    real_strata: np.ndarray | None = None,
) -> Interval:
    """Return the squared maximum mean discrepancy between ``generated`` and ``real``, [N, D] each.

    The unbiased estimate with the cubic kernel of the Kernel Inception Distance (Binkowski et al., "Demystifying
    MMD GANs", 2018, section 4). About 0 for samples of the true distribution, where it may fall below 0. The
    interval draws both sets anew.

    Args:
        generated: features of generated images.
        real: features of real ones.
        generated_strata: int64 [N], where it was laid down how many are of which class: fewer pairs are of one
            class then than among images drawn freely, and each of them counts for more to make up for it.
        real_strata: the same of the real ones.
    """
    strata = [
        np.zeros(len(features), dtype=np.int64) if given is None else given
        for features, given in ((generated, generated_strata), (real, real_strata))
    ]
    generated, real = generated.astype(np.float64), real.astype(np.float64)
    return _discrepancy(_cubic(generated, generated), _cubic(real, real), _cubic(generated, real), *strata)


def _frechet(a: np.ndarray, b: np.ndarray) -> float:
    apart = a.mean(axis=0) - b.mean(axis=0)
    of_a, of_b = (np.atleast_2d(np.cov(values, rowvar=False)) for values in (a, b))
    values, directions = np.linalg.eigh(of_a)
    root = (directions * np.sqrt(values.clip(min=0))) @ directions.T
    # (S T)^(1/2) has the trace of (S^(1/2) T S^(1/2))^(1/2), and that one is symmetric.
    between = np.sqrt(np.linalg.eigvalsh(root @ of_b @ root).clip(min=0)).sum()
    return max(0.0, float(apart @ apart + np.trace(of_a) + np.trace(of_b) - 2 * between))


def _jackknife(items: np.ndarray, statistic: Callable[[np.ndarray], float]) -> float:
    """Return the variance of ``statistic`` over ``items``, from leaving out every group in turn."""
    # At random: images that were asked for by class in turn would fall into groups of one class.
    group = np.random.default_rng(0).permutation(len(items)) % GROUPS
    left_out = np.array([statistic(items[group != k]) for k in range(GROUPS)])
    return float((GROUPS - 1) / GROUPS * ((left_out - left_out.mean()) ** 2).sum())


def _cubic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _discrepancy(
    aa: np.ndarray, bb: np.ndarray, ab: np.ndarray, of_a: np.ndarray, of_b: np.ndarray
) -> Interval:
    """Return the U-statistic of kernel matrices [n, n], [m, m], [n, m] with strata [n] and [m]."""

    def estimate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        between = ((a @ ab) * b).sum(axis=1) / (a.sum(axis=1) * b.sum(axis=1))
        return _mean_pair(aa, a, of_a) + _mean_pair(bb, b, of_b) - 2 * between

    random = np.random.default_rng(0)
    counts = [_drawn(random, strata) for strata in (of_a, of_b)]
    once = [np.ones((1, len(k))) for k in (aa, bb)]
    return bootstrap.percentile(float(estimate(*once)[0]), estimate(*counts))


def _drawn(random: np.random.Generator, strata: np.ndarray) -> np.ndarray:
    """Return float64 [B, n]: how often each item is drawn; each of the ``strata`` [n] keeps its size."""
    counts = np.empty((_DRAWS, len(strata)))
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        counts[:, inside] = random.multinomial(
            len(inside), np.full(len(inside), 1 / len(inside)), size=_DRAWS
        )
    return counts


def _mean_pair(matrix: np.ndarray, counts: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Return [B]: the kernel's mean over pairs, weighted by ``counts`` [B, n]; no item meets itself.

    Pairs within one of the ``strata`` [n] weigh as much together as they would with those of items with themselves.
    """
    total = ((counts @ matrix) * counts).sum(axis=1)
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        drawn, part = counts[:, inside], matrix[np.ix_(inside, inside)]
        itself = drawn**2 @ np.diag(part)
        pairs = ((drawn @ part) * drawn).sum(axis=1) - itself
        size, own = drawn.sum(axis=1) ** 2, (drawn**2).sum(axis=1)
        # An item alone in its stratum has no other to pair with, and stands for itself.
        weight = np.divide(size, size - own, out=np.ones(len(counts)), where=size > own)
        total += np.where(size > own, (weight - 1) * pairs - itself, 0.0)
    return total / counts.sum(axis=1) ** 2
