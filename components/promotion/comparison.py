"""Candidate against champion: both answer the present test split now; differences are paired by example.

What holds is decided on intervals, never on values alone:

- **overall** (non-inferiority): the whole 95 % interval of the difference must lie above ``-margin``. Too few
  examples leave a wide interval, and with it the champion in place: to be no worse has to be shown.
- **each class**, and each further score (harm): fails only when the whole interval lies below the negative
  margin. A class has a tenth of the examples or less: to demand proof of each would refuse every retraining
  of a small data set.

Generators have no score per test example: their kernel distance to the test images is taken for each of
several seeds, the same for both and by the same judge, and the differences are paired by seed.

Nor is an average precision or a mean overlap a mean of scores per example: its difference is taken on sets of images,
drawn anew, the same for both, from all classes' objects and from each one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from components import tasks
from components.bundles.bundle import Bundle
from components.metrics.paired import Comparable
from components.project.sections import GatePolicy
from components.tasks import Task
from data.prepared import PreparedData

_SAME = ("task", "classes", "inputs", "symbols", "separator")


@dataclass(frozen=True)
class Difference:
    """How much better the candidate is than the champion, in the metric's unit; negative where it is worse.

    Attributes:
        metric: what is compared.
        of: ``all``, or the name of a class.
        candidate: mean score of the candidate.
        champion: mean score of the champion.
        value: the difference, turned so that more is better.
        low: lower end of its paired 95 % interval.
        high: upper end.
        count: examples (or seeds) that it rests on.
        margin: by how much it may be negative.
        rule: ``no worse`` (``low`` above ``-margin``) or ``no harm`` (``high`` not below ``-margin``).
    """

    metric: str
    of: str
    candidate: float
    champion: float
    value: float
    low: float
    high: float
    count: int
    margin: float
    rule: Literal["no worse", "no harm"]

    @property
    def holds(self) -> bool:
        """Whether the rule is met."""
        return self.low > -self.margin if self.rule == "no worse" else self.high >= -self.margin

    def __str__(self) -> str:
        where = "" if self.of == "all" else f" on class {self.of!r}"
        number = (
            f"{self.value:+.4f}, paired 95 % interval [{self.low:+.4f}, {self.high:+.4f}], n = {self.count}"
        )
        bound = "must lie wholly above" if self.rule == "no worse" else "must reach up to"
        return f"{self.metric}{where}: {self._verdict()}: {number}; {bound} {-self.margin:g}"

    def _verdict(self) -> str:
        if self.holds:
            return "no worse than the champion" if self.rule == "no worse" else "no clear harm"
        return "worse than the champion" if self.high < 0 else "not shown to be no worse than the champion"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"holds": self.holds}


def differing(ours: Bundle, theirs: Bundle) -> list[str]:
    """Return what has to be the same of two models that are asked the same examples, and is not."""
    return [key for key in _SAME if ours.description.get(key) != theirs.description.get(key)]


def unseen(bundle: Bundle, present: PreparedData, seen: np.ndarray | None) -> PreparedData:
    """Return ``present`` without the test images whose contents are among ``seen`` int64 [n]."""
    if seen is None or task_of(bundle).COMPARED_BY_JUDGE:  # a judge compares with the test split as a whole
        return present
    rows = np.flatnonzero(~np.isin(present.test.contents, seen))
    return present if len(rows) == len(present.test) else present.tested_on(rows)


def task_of(bundle: Bundle) -> Task:
    """Return what is measured of a bundle."""
    inputs = [tensor["name"] for tensor in bundle.description["inputs"]]
    return tasks.of(bundle.description["task"], inputs)


@dataclass(frozen=True)
class Scored:
    """What candidate and champion score on the same test examples, the primary metric first.

    Attributes:
        ids: the examples.
        candidate: of the candidate.
        champion: of the champion.
    """

    ids: list[str]
    candidate: Sequence[Comparable]
    champion: Sequence[Comparable]


def score_both(candidate: Bundle, champion: Bundle, data: PreparedData) -> Scored:
    """Return what both score on the test split of ``data``.

    Raises:
        ValueError: an answer is not finite.
    """
    return Scored(data.test.ids, score(candidate, data), score(champion, data))


def compare(scored: Scored, classes: Sequence[str], policy: GatePolicy) -> list[Difference]:
    """Return the differences over all examples and by class, the primary one over all examples first."""
    differences = []
    for place, (a, b) in enumerate(zip(scored.candidate, scored.champion, strict=True)):
        for row in a.differences(b, classes):
            overall = row.of is None
            differences.append(
                Difference(
                    metric=a.metric,
                    of="all" if overall else row.of,
                    candidate=row.ours,
                    champion=row.theirs,
                    value=row.interval.value,
                    low=row.interval.low,
                    high=row.interval.high,
                    count=row.count,
                    margin=policy.margin if overall else policy.class_margin,
                    rule="no worse" if overall and place == 0 else "no harm",
                )
            )
    return differences


def score(bundle: Bundle, data: PreparedData) -> Sequence[Comparable]:
    """Return what a bundle scores on the test split of ``data``, the primary metric first.

    Raises:
        ValueError: an answer is not finite.
    """
    task = task_of(bundle)
    return task.paired(task.answer(bundle.predict, data), data)
