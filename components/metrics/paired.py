"""Two models on the same examples: how much better the one is than the other, with the interval of the difference.

Differences are paired by example (:class:`Scores`), or, where a metric is no mean of scores per example, taken on sets
of images, drawn anew, the same for both (:class:`SetScores`). Slices of the examples, which may overlap, have intervals
that hold together (``components/metrics/simultaneous.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from components.metrics import bootstrap, estimates
from components.metrics.bootstrap import Interval, Statistic
from components.metrics.estimates import Estimates


@dataclass(frozen=True)
class PairedDifference:
    """How much better the one is than the other.

    Attributes:
        of: the class; None of all examples.
        ours: mean score of the one.
        theirs: mean score of the other.
        interval: the difference, turned so that more is better.
        count: examples that it rests on.
    """

    of: str | None
    ours: float
    theirs: float
    interval: Interval
    count: int


class Comparable(Protocol):
    """What one model scores in one metric, ready to be compared with another's."""

    @property
    def metric(self) -> str:
        """The metric's name."""

    @property
    def better(self) -> Literal["higher", "lower"]:
        """The direction in which it is better."""

    def differences(self, theirs: Comparable, classes: Sequence[str]) -> Iterator[PairedDifference]:
        """Yield the difference from ``theirs`` over all examples, then that of each class that has examples."""

    def by_slice(self, members: np.ndarray) -> Estimates:
        """Return the metric on each slice of the examples, ``members`` bool [N, S]."""

    def differences_by_slice(self, theirs: Comparable, members: np.ndarray) -> Estimates:
        """Return the difference from ``theirs`` on each slice, turned so that more is better."""


@dataclass(frozen=True)
class Scores:
    """Scores by example.

    Attributes:
        metric: their name.
        better: the direction in which they are better.
        values: [N], one for each example, or for each seed.
        labels: int64 [N], the examples' classes; None where classes are not compared one by one.
    """

    metric: str
    better: Literal["higher", "lower"]
    values: np.ndarray
    labels: np.ndarray | None = None

    def differences(self, theirs: Scores, classes: Sequence[str]) -> Iterator[PairedDifference]:
        """Yield the difference from ``theirs`` over all examples, then that of each class that has examples."""
        yield self._difference(theirs, None, np.arange(len(self.values)))
        for index, name in enumerate(classes if self.labels is not None else ()):
            chosen = np.flatnonzero(self.labels == index)
            if len(chosen):
                yield self._difference(theirs, name, chosen)

    def by_slice(self, members: np.ndarray) -> Estimates:
        """Return the mean score on each slice of the examples, ``members`` bool [N, S]."""
        return (estimates.of_shares if self._are_shares else estimates.of_means)(self.values, members)

    def differences_by_slice(self, theirs: Scores, members: np.ndarray) -> Estimates:
        """Return the mean difference from ``theirs`` on each slice, turned so that more is better."""
        sign = 1 if self.better == "higher" else -1
        of_both = self._are_shares and theirs._are_shares
        make = estimates.of_changes if of_both else estimates.of_means
        return make(sign * (self.values - theirs.values), members)

    @property
    def _are_shares(self) -> bool:
        return bool(np.isin(self.values, (0.0, 1.0)).all())

    def _difference(self, theirs: Scores, of: str | None, chosen: np.ndarray) -> PairedDifference:
        ours, others = self.values[chosen], theirs.values[chosen]
        sign = 1 if self.better == "higher" else -1
        interval = bootstrap.paired(sign * ours, sign * others)
        return PairedDifference(of, float(ours.mean()), float(others.mean()), interval, len(ours))


@dataclass(frozen=True)
class SetScores:
    """Scores of sets of examples, of which more is better.

    Attributes:
        metric: their name.
        statistic: the metric over all classes and of each, [B, 1 + K].
        holding: bool [N, 1 + K], which examples hold something of any class, and of each.
        better: more is.
    """

    metric: str
    statistic: Statistic
    holding: np.ndarray
    better: Literal["higher"] = "higher"

    def by_slice(self, members: np.ndarray) -> Estimates:
        """Return the metric over all classes on each slice of the examples, ``members`` bool [N, S]."""
        return estimates.of_sets(self.statistic, members)

    def differences_by_slice(self, theirs: SetScores, members: np.ndarray) -> Estimates:
        """Return the difference from ``theirs`` on each slice, both on the same drawn sets."""
        return estimates.of_sets(lambda counts: self.statistic(counts) - theirs.statistic(counts), members)

    def differences(self, theirs: SetScores, classes: Sequence[str]) -> Iterator[PairedDifference]:
        """Yield the difference from ``theirs`` over all classes, then that of each class that has examples."""
        size = len(self.holding)
        once = np.ones((1, size), np.int64)
        values = zip(self.statistic(once)[0], theirs.statistic(once)[0], strict=True)
        intervals = bootstrap.of_sets(lambda counts: self.statistic(counts) - theirs.statistic(counts), size)
        rows = zip([None, *classes], values, intervals, self.holding.sum(axis=0), strict=True)
        for of, (ours, others), interval, count in rows:
            if interval is not None:
                yield PairedDifference(
                    of, float(ours), float(others), interval, size if of is None else int(count)
                )
