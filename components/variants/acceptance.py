"""Whether a variant answers as well as the FP32 graph: the same examples, paired, over all and in each part.

The rules are the gate's. Over all examples the primary metric has to be shown to be no worse: the whole paired interval
lies above ``-MARGIN``. A class or a slice fails where its whole interval lies below ``-PART_MARGIN``; the intervals of
slices hold all together. What is compared is what people see of answers, a label or boxes, and no tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from components.datasets.slices import Slices
from components.metrics import simultaneous
from components.metrics.bootstrap import Interval
from components.metrics.paired import Comparable

MARGIN = 0.01
"""By how much the primary metric may be worse over all examples."""
PART_MARGIN = 0.1
"""By how much it may be worse on a class or a slice."""


@dataclass(frozen=True)
class Difference:
    """How much better the variant is than FP32, in the metric's unit; negative where it is worse.

    Attributes:
        metric: what is compared.
        of: ``all``, ``class NAME`` or ``slice NAME``.
        interval: the difference, turned so that more is better, and its interval.
        count: examples that it rests on.
        margin: by how much it may be negative.
        holds: whether it is within the margin.
    """

    metric: str
    of: str
    interval: Interval
    count: int
    margin: float
    holds: bool

    def __str__(self) -> str:
        value, low, high = (
            f"{end:+.4f}" for end in (self.interval.value, self.interval.low, self.interval.high)
        )
        word = "must lie wholly above" if self.of == "all" else "must reach up to"
        return (
            f"{self.metric} of {self.of}: {value} [{low}, {high}], n = {self.count}; {word} {-self.margin:g}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def compare(
    ours: Sequence[Comparable], theirs: Sequence[Comparable], classes: Sequence[str], slices: Slices | None
) -> list[Difference]:
    """Return the differences of the primary metric: over all examples, of each class, of each slice.

    Args:
        ours: what the variant scores on the test split, the primary metric first.
        theirs: what the FP32 graph scores on it.
        classes: their names.
        slices: parts of the test split; None where there are none.
    """
    return [*_by_class(ours[0], theirs[0], classes), *_by_slice(ours[0], theirs[0], slices)]


def _by_class(ours: Comparable, theirs: Comparable, classes: Sequence[str]) -> Iterator[Difference]:
    for row in ours.differences(theirs, classes):
        if row.of is None:
            holds = row.interval.low > -MARGIN
            yield Difference(ours.metric, "all", row.interval, row.count, MARGIN, holds)
        else:
            yield _part(ours.metric, f"class {row.of}", row.interval, row.count)


def _by_slice(ours: Comparable, theirs: Comparable, slices: Slices | None) -> Iterator[Difference]:
    if slices is None:
        return
    found = ours.differences_by_slice(theirs, slices.members)
    (intervals,) = simultaneous.intervals(found)
    for name, interval, count in zip(slices.names, intervals, found.counts, strict=True):
        if interval is not None:  # too few examples show nothing
            yield _part(ours.metric, f"slice {name}", interval, int(count))


def _part(metric: str, of: str, interval: Interval, count: int) -> Difference:
    return Difference(metric, of, interval, count, PART_MARGIN, interval.high >= -PART_MARGIN)
