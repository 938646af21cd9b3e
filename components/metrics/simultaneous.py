"""Intervals that hold all together: of the slices of one test set, in 95 of 100 test sets none misses.

Twenty intervals of 95 % each miss somewhere in up to 64 of 100 test sets, and a gate that looks at all of them would
refuse as many equal models. Here each interval is as much wider as it takes: the level that they share follows from
how the estimates move together, by a multiplier bootstrap of the greatest of them (Chernozhukov, Chetverikov and Kato,
"Gaussian approximations and multiplier bootstrap for maxima of sums of high-dimensional random vectors", 2013). Slices
that share examples cost less than Bonferroni's or Holm's correction takes for them; slices that share none, as Sidak's.

The quantiles of a plain bootstrap are no use so far out, at a level of .003 and with few examples: where all of ten
examples turned to the worse, its interval is a point. These intervals are Student's, and shares of right answers and
differences of two such shares are first drawn together by a few examples that are made up (Agresti and Coull,
"Approximate is better than 'exact' for interval estimation of binomial proportions", 1998; Agresti and Min, "Simple
improved confidence intervals for comparing matched proportions", 2005).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from components.metrics import bootstrap
from components.metrics.bootstrap import LEVEL, Interval, Statistic

DRAWS = 20_000
"""Draws of the greatest deviation: the level that intervals share then wanders by some hundredths of itself."""

SET_DRAWS = 400
"""Sets drawn for the standard errors of statistics that are no means: these then wander by a thirtieth."""

FEWEST = 10
"""Examples below which a slice has no interval."""

_AT_ONCE = 100  # sets measured at once


@dataclass(frozen=True)
class Estimates:
    """A number of each of S slices.

    Attributes:
        values: [S]; NaN where there is nothing to measure.
        centres: [S], what the intervals lie around.
        errors: [S], standard errors.
        counts: int64 [S], examples of each slice.
        moves: [M, S], what each of M examples, or of M drawn sets, moves each number by, up to a factor.
        ends: the least and the greatest value that there can be.
    """

    values: np.ndarray
    centres: np.ndarray
    errors: np.ndarray
    counts: np.ndarray
    moves: np.ndarray
    ends: tuple[float, float] = (-np.inf, np.inf)

    @property
    def are_measured(self) -> np.ndarray:
        """Bool [S]: which have an interval."""
        return (self.counts >= FEWEST) & ~np.isnan(self.values)

    def only(self, chosen: np.ndarray) -> Estimates:
        """Return those that are ``chosen``, bool [S]."""
        parts = {
            name: getattr(self, name)[..., chosen]
            for name in ("values", "centres", "errors", "counts", "moves")
        }
        return replace(self, **parts)


def of_means(values: np.ndarray, members: np.ndarray) -> Estimates:
    """Return the mean of ``values`` [N] over each slice, ``members`` bool [N, S]."""
    means, moves, counts = _means(values, members)
    errors = np.sqrt((moves**2).sum(axis=0) * counts / np.maximum(counts - 1, 1))
    return Estimates(means, means, errors, counts, moves)


def of_shares(right: np.ndarray, members: np.ndarray) -> Estimates:
    """Return the share of 1 in ``right`` [N] of 0 and 1 over each slice; two of either are made up."""
    return _drawn_together(right, members, added=4, total=2, squares=2, ends=(0.0, 1.0))


def of_changes(changes: np.ndarray, members: np.ndarray) -> Estimates:
    """Return the mean of ``changes`` [N] of -1, 0 and 1 over each slice; half of a -1, half of a 1, a 0 are made up."""
    return _drawn_together(changes, members, added=2, total=0, squares=1, ends=(-1.0, 1.0))


def of_sets(statistic: Statistic, members: np.ndarray) -> Estimates:
    """Return the first number of ``statistic`` on each slice; its errors are of sets drawn from all examples."""
    size, slices = members.shape

    def of_each(counts: np.ndarray) -> np.ndarray:
        return np.stack([statistic(counts * members[:, place])[:, 0] for place in range(slices)], axis=1)

    values = of_each(np.ones((1, size), np.int64))[0]
    replicates = np.concatenate(
        [
            of_each(part)
            for counts in bootstrap.resampled(size, draws=SET_DRAWS)
            for part in np.split(counts, range(_AT_ONCE, len(counts), _AT_ONCE))
        ]
    )
    there = ~np.isnan(replicates)  # a drawn set may hold nothing of a slice
    number = there.sum(axis=0)
    mean = np.where(there, replicates, 0).sum(axis=0) / np.maximum(number, 1)
    moves = np.where(there, replicates - mean, 0.0)
    errors = np.sqrt((moves**2).sum(axis=0) / np.maximum(number - 1, 1))
    return Estimates(values, values, errors, members.sum(axis=0), moves)


def intervals(*families: Estimates) -> list[list[Interval | None]]:
    """Return the intervals of several families of estimates on the same examples, all of which hold together.

    Returns:
        Of each family S intervals; None where a slice has fewer than :data:`FEWEST` examples or nothing to measure.
    """
    level = shared_level(np.concatenate([one.moves[:, one.are_measured] for one in families], axis=1))
    return [_at_level(one, level) for one in families]


def shared_level(moves: np.ndarray) -> float:
    """Return how often each interval of ``moves`` [M, S] may miss, so that none misses in ``LEVEL`` of test sets."""
    if moves.shape[1] <= 1:
        return 1 - LEVEL
    length = np.sqrt((moves**2).sum(axis=0))
    unit = moves / np.where(length > 0, length, 1)
    correlation = unit.T @ unit
    # What never moves still has an interval, which its made-up examples give it: it may miss by itself.
    np.fill_diagonal(correlation, 1)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    drawn = np.random.default_rng(0).standard_normal((DRAWS, len(root)))
    greatest = float(np.quantile(np.abs(drawn @ root.T).max(axis=1), LEVEL))
    return 2 * (1 - NormalDist().cdf(greatest))


def _means(values: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean over each slice [S], what each example moves it by [N, S], and the examples of each [S]."""
    values, counts = np.asarray(values, np.float64), members.sum(axis=0)
    means = np.divide(values @ members, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    moves = np.where(members, values[:, None] - np.nan_to_num(means), 0.0) / np.maximum(counts, 1)
    return means, moves, counts


def _drawn_together(
    values: np.ndarray,
    members: np.ndarray,
    *,
    added: int,
    total: int,
    squares: int,
    ends: tuple[float, float],
) -> Estimates:
    means, moves, counts = _means(values, members)
    number = counts + added
    centres = (values @ members + total) / number
    errors = np.sqrt(((values**2 @ members + squares) / number - centres**2) / number)
    return Estimates(means, centres, errors, counts, moves, ends)


def _at_level(family: Estimates, level: float) -> list[Interval | None]:
    from scipy.special import stdtrit  # imported where slices are: it takes a tenth of a second

    reach = stdtrit(np.maximum(family.counts - 1, 1), 1 - level / 2) * family.errors
    low, high = (np.clip(family.centres + sign * reach, *family.ends) for sign in (-1, 1))
    # The made-up examples may draw both ends to one side of the value.
    found = zip(family.values, np.minimum(low, family.values), np.maximum(high, family.values), strict=True)
    return [
        Interval(*map(float, one)) if there else None
        for one, there in zip(found, family.are_measured, strict=True)
    ]
