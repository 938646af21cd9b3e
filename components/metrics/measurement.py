"""What was measured of a model: metrics with their intervals, and a table per class."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from components.metrics.bootstrap import Interval


@dataclass(frozen=True)
class Metric:
    """A metric with its 95 % interval and the direction in which it is better."""

    value: float
    low: float
    high: float
    better: Literal["higher", "lower"]

    @classmethod
    def of(cls, interval: Interval, better: Literal["higher", "lower"]) -> Metric:
        """Give ``interval`` a direction."""
        return cls(interval.value, interval.low, interval.high, better)


@dataclass(frozen=True)
class Measurement:
    """What ``metrics.json`` holds.

    Attributes:
        primary: the metric that versions are compared by.
        metrics: every metric by name.
        per_class: a row of numbers per class, each with ``class`` and ``examples``.
        judge: SHA-256 of the judge that looked at generated images; metrics of different judges do not compare.
    """

    primary: str
    metrics: dict[str, Metric]
    per_class: list[dict[str, Any]]
    judge: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, ``judge`` only where there is one."""
        return {key: value for key, value in asdict(self).items() if value is not None}
