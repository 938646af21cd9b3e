"""Numbers of the slices of one test set, each with a standard error and with what moves it.

Shares of right answers, and differences of two such shares, are first drawn together by a few examples that are made up
(Agresti and Coull, "Approximate is better than 'exact' for interval estimation of binomial proportions", 1998; Agresti
and Min, "Simple improved confidence intervals for comparing matched proportions", 2005). Their intervals are in
:mod:`components.metrics.simultaneous`, which the server has no use for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from components.metrics import bootstrap
from components.metrics.bootstrap import Statistic

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
