"""Bootstrap intervals: how far a metric would move on another test set of the same size and kind.

Examples are drawn with replacement, as often as there are, and the metric is taken again: its spread over the
draws is its uncertainty. The intervals are BCa (bias-corrected and accelerated; Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 14), which stay right where the spread is skewed, as for an
accuracy near 1. Everything is seeded: the same examples give the same interval.

A mean of equal values has no spread to draw from: its interval is a point. For shares of right answers, where
that happens (all of a small test set right), :func:`proportion` knows better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

DRAWS = 2000
"""Resamplings per interval: the ends then wander by about a tenth of the interval's half-width."""

LEVEL = 0.95
"""How often intervals made this way hold the true value."""

GROUPS = 200
"""Greatest number of groups of examples that are left out in turn, where each takes a new measurement."""

_SETS = 250  # sets measured at once
_CHUNK = 2**22  # numbers drawn at once: bounds the memory to a few tens of MiB


Statistic = Callable[[np.ndarray], np.ndarray]
"""Of sets of examples, given as how often each is in it (int64 [B, N]), several numbers each (float64 [B, S])."""


@dataclass(frozen=True)
class Interval:
    """A value and the two ends of its interval, ``low <= high``."""

    value: float
    low: float
    high: float


def mean(values: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Return the mean of ``values`` [N] (a score per example) with its interval.

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError("a mean needs at least one value, and finite ones only")
    replicates = resample(values[:, None], lambda sums, size: sums[:, 0] / size, draws=draws, seed=seed)
    # Leaving one out moves the mean by its distance from it: the jackknife in closed form.
    return bca(float(values.mean()), replicates, values.mean() - values)


def proportion(right: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Return the share of true values in ``right`` [N] with its interval.

    Where all are right, or all wrong, nothing can be drawn that tells how sure that is; the interval is then
    Wilson's ("Probable inference, the law of succession, and statistical inference", 1927), 1 to N / (N +
    1.96**2) and 0 to the rest.
    """
    interval = mean(right, draws=draws, seed=seed)
    if interval.value not in (0.0, 1.0):
        return interval
    z_squared = NormalDist().inv_cdf((1 + LEVEL) / 2) ** 2
    reach = z_squared / (len(right) + z_squared)
    return (
        Interval(interval.value, 1 - reach, 1.0)
        if interval.value == 1
        else Interval(interval.value, 0.0, reach)
    )


def paired(ours: np.ndarray, theirs: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Return the mean of ``ours - theirs`` with its interval; both [N], of the same examples in one order.

    Differences on the same examples vary far less than two means over different ones: small differences show.

    Raises:
        ValueError: the lengths differ, there are no values, or one is not finite.
    """
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(
            f"a paired comparison needs the same examples: {ours.shape} and {theirs.shape} scores"
        )
    return mean(ours - theirs, draws=draws, seed=seed)


def resample(
    terms: np.ndarray,
    statistic: Callable[[np.ndarray, int], np.ndarray],
    *,
    multiplicity: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> np.ndarray:
    """Return a statistic of sums over examples, for each of ``draws`` resampled sets.

    Args:
        terms: [M, T], what each distinct example adds to the sums.
        statistic: of the sums [draws, T] and the number of examples; gives [draws].
        multiplicity: [M], how many examples are like each row of ``terms``; 1 of each when left out.
        draws: number of resampled sets.
        seed: of the draws.
    """
    size = len(terms) if multiplicity is None else int(multiplicity.sum())
    drawn = resampled(len(terms), multiplicity=multiplicity, draws=draws, seed=seed)
    return np.concatenate([statistic(counts @ terms, size) for counts in drawn])


def resampled(
    distinct: int, *, multiplicity: np.ndarray | None = None, draws: int = DRAWS, seed: int = 0
) -> Iterator[np.ndarray]:
    """Yield how often each of ``distinct`` examples is in each resampled set: int64 [some, distinct], of all ``draws``.

    For statistics that are no function of sums; ``multiplicity`` and the others are as in :func:`resample`.
    """
    size = distinct if multiplicity is None else int(multiplicity.sum())
    # Row numbers of the single examples: a draw of these is a draw of examples.
    rows = None if multiplicity is None else np.repeat(np.arange(distinct), multiplicity)
    random = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // size)
    for start in range(0, draws, chunk):
        number = min(chunk, draws - start)
        drawn = random.integers(size, size=(number, size))
        drawn = (drawn if rows is None else rows[drawn]) + np.arange(number)[:, None] * distinct
        yield np.bincount(drawn.ravel(), minlength=number * distinct).reshape(number, distinct)


def of_sets(statistic: Statistic, size: int, *, draws: int = DRAWS, seed: int = 0) -> list[Interval | None]:
    """Return the value and interval of each of S statistics of a set of ``size`` examples.

    For statistics that are no function of sums over examples, such as average precisions. Sets for which one is NaN are
    left out of its interval; it is None where the set as it is has none. The acceleration is of sets without one of
    :data:`GROUPS` groups of examples (Efron and Tibshirani, section 11.5): leaving out one by one would cost more than
    the draws.
    """
    whole = np.ones((1, size), np.int64)
    group = np.arange(size) % min(size, GROUPS)
    without = (group != np.arange(group.max() + 1)[:, None]).astype(np.int64)
    drawn = [
        statistic(part)
        for counts in resampled(size, draws=draws, seed=seed)
        for part in np.split(counts, range(_SETS, len(counts), _SETS))
    ]
    columns = zip(statistic(whole)[0], np.concatenate(drawn).T, statistic(without).T, strict=True)
    return [
        None
        if np.isnan(value)
        else bca(float(value), *(column[~np.isnan(column)] for column in (replicates, left_out)))
        for value, replicates, left_out in columns
    ]


def bca(
    value: float, replicates: np.ndarray, influence: np.ndarray, multiplicity: np.ndarray | None = None
) -> Interval:
    """Return the BCa interval of ``value``.

    Args:
        value: the statistic on the examples as they are. replicates: [draws], the statistic on resampled
        examples. influence: [M], by how much the statistic changes when an example is left out, up to one
        constant and one
            positive factor.
        multiplicity: [M], how many examples each row stands for; 1 when left out.
    """
    spread = np.ptp(replicates)
    if spread == 0:
        return Interval(value, value, value)
    # Ties count half: accuracies are multiples of 1/N, and many replicates equal the value but for their
    # rounding.
    off = (replicates - value) / spread
    below = np.mean(off < -1e-9) + 0.5 * np.mean(np.abs(off) <= 1e-9)
    margin = 0.5 / len(replicates)
    normal = NormalDist()
    bias = normal.inv_cdf(float(np.clip(below, margin, 1 - margin)))
    acceleration = _acceleration(influence, multiplicity)
    ends = []
    for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        z = bias + normal.inv_cdf(level)
        ends.append(normal.cdf(bias + z / (1 - acceleration * z)))
    low, high = np.quantile(replicates, ends)
    return Interval(value, float(low), float(high))


def percentile(value: float, replicates: np.ndarray) -> Interval:
    """Return ``value`` and the middle ``LEVEL`` of ``replicates`` (Efron and Tibshirani, chapter 13)."""
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def _acceleration(influence: np.ndarray, multiplicity: np.ndarray | None) -> float:
    """Return the skewness of the jackknife values over 6 (Efron and Tibshirani, equation 14.15)."""
    weights = np.ones(len(influence)) if multiplicity is None else multiplicity
    centred = np.average(influence, weights=weights) - influence
    spread = float(weights @ centred**2)
    # Rounding noise of equal values is no skewness.
    if spread <= 1e-24 * float(weights @ influence**2) or spread == 0:
        return 0.0
    return float(weights @ centred**3) / (6 * spread**1.5)
