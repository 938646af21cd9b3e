"""Counters of a worker, for Prometheus' text format and V2's statistics.

Each is a plain number or histogram under a tuple of label values. They are written in the event loop's thread
only, so that they need no lock.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

LATENCIES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the buckets of latencies, in seconds."""
RATIOS = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0, 3.0, 5.0)
"""Upper bounds of the buckets of a challenger's time in the champion's."""
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Counter:
    """A number per combination of labels. A gauge (``kind``) can fall; of several workers' the ``join`` counts."""

    def __init__(
        self,
        name: str,
        help: str,
        labels: Sequence[str] = (),
        *,
        kind: str = "counter",
        join: Callable[[float, float], float] = operator.add,
    ) -> None:
        self.name, self.help, self.labels, self.kind, self._join = name, help, tuple(labels), kind, join
        self.values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count ``by`` more."""
        self.values[labels] = self.values.get(labels, 0) + by

    def set(self, value: float, *labels: str) -> None:
        """Set a gauge."""
        self.values[labels] = value

    def merge(self, values: Iterable[tuple[Sequence[str], float]]) -> None:
        """Join another worker's values."""
        for labels, value in values:
            key = tuple(labels)
            self.values[key] = self._join(self.values[key], value) if key in self.values else value

    def lines(self) -> Iterator[str]:
        """Yield the samples in Prometheus' text format."""
        for labels, value in sorted(self.values.items()):
            yield f"{self.name}{_labels(self.labels, labels)} {value:.17g}"


Observe = Callable[..., None]
"""``(value, times=1)``: counts ``times`` observations of ``value``."""


class Histogram:
    """Counts per bucket, sum and number of observations, per combination of labels."""

    kind = "histogram"

    def __init__(self, name: str, help: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        self.name, self.help, self.bounds, self.labels = name, help, tuple(bounds), tuple(labels)
        self.values: dict[tuple[str, ...], list[float]] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count one observation."""
        self.of(*labels)(value)

    def of(self, *labels: str) -> Observe:
        """Return what counts observations under ``labels``, without looking for their place each time."""
        bounds = self.bounds
        cells = self.values.setdefault(labels, [0.0] * (len(bounds) + 2))  # the buckets, above them, the sum

        def observe(value: float, times: int = 1) -> None:
            cells[bisect_left(bounds, value)] += times
            cells[-1] += value * times

        return observe

    def merge(self, values: Iterable[tuple[Sequence[str], list[float]]]) -> None:
        """Add another worker's observations."""
        for labels, cells in values:
            key = tuple(labels)
            mine = self.values.get(key, [0.0] * len(cells))
            self.values[key] = [a + b for a, b in zip(mine, cells, strict=True)]

    def lines(self) -> Iterator[str]:
        """Yield the samples in Prometheus' text format."""
        names = (*self.labels, "le")
        for labels, cells in sorted(self.values.items()):
            total = 0.0
            for bound, count in zip((*map(str, self.bounds), "+Inf"), cells, strict=False):
                total += count
                yield f"{self.name}_bucket{_labels(names, (*labels, bound))} {total:.17g}"
            yield f"{self.name}_sum{_labels(self.labels, labels)} {cells[-1]:.17g}"
            yield f"{self.name}_count{_labels(self.labels, labels)} {total:.17g}"


class Metrics:
    """Everything that is counted. Attributes are the metrics; their names and help texts are below."""

    def __init__(self) -> None:
        per_version = ("model", "version")
        self.requests = Counter(
            "darkroom_requests_total", "Requests by route and status.", ("method", "route", "status")
        )
        self.latency = Histogram(
            "darkroom_request_seconds",
            "From the last byte of a request to its answer.",
            LATENCIES,
            per_version,
        )
        self.queued = Histogram("darkroom_queue_seconds", "Waiting for its turn.", LATENCIES, per_version)
        self.computed = Histogram("darkroom_compute_seconds", "Computing its batch.", LATENCIES, per_version)
        self.batch = Histogram("darkroom_batch_rows", "Rows computed together.", BATCHES, per_version)
        self.rows = Counter("darkroom_rows_total", "Rows answered.", per_version)
        self.executions = Counter(
            "darkroom_executions_total", "Batches computed, by their rows.", (*per_version, "rows")
        )
        self.failed = Counter("darkroom_failed_total", "Requests whose computation failed.", per_version)
        self.rejected = Counter(
            "darkroom_rejected_total", "Requests refused by a limit.", ("model", "status")
        )
        self.waiting = Counter("darkroom_queue_length", "Requests that wait.", per_version, kind="gauge")
        self.reloads = Counter(
            "darkroom_reloads_total", "Versions that were swapped in or refused.", ("model", "outcome")
        )
        self.served = Counter(
            "darkroom_served_version",
            "1 for the version that is served.",
            per_version,
            kind="gauge",
            join=max,
        )
        self.refused = Counter(
            "darkroom_refused_version",
            "1 for a champion that is refused.",
            per_version,
            kind="gauge",
            join=max,
        )
        self.registry_up = Counter(
            "darkroom_registry_up", "Whether the last look at the registry succeeded.", kind="gauge", join=min
        )
        self.registry_age = Counter(
            "darkroom_registry_age_seconds",
            "Since the last look at the registry that succeeded.",
            kind="gauge",
            join=max,
        )
        self.shadow = Counter(
            "darkroom_shadow_total",
            "Requests that a challenger answered as well, by whether it agreed.",
            ("model", "champion", "challenger", "outcome"),
        )
        self.shadow_computed = Histogram(
            "darkroom_shadow_compute_seconds", "A challenger computing.", LATENCIES, ("model", "challenger")
        )
        self.canary = Counter(
            "darkroom_canary_total",
            "Requests that a challenger answered, by whether the champion agreed.",
            ("model", "champion", "challenger", "outcome"),
        )
        self.canary_ratio = Histogram(
            "darkroom_canary_latency_ratio",
            "A challenger's computing time in the champion's, of requests that the challenger answered.",
            RATIOS,
            ("model", "champion", "challenger"),
        )
        self.canary_share = Counter(
            "darkroom_canary_share",
            "Share of the requests that a challenger answers; 0 once it fell back.",
            per_version,
            kind="gauge",
            join=max,
        )
        self.predictions = Counter(
            "darkroom_predictions_total",
            "Answers for the prediction log, by what became of them.",
            ("model", "outcome"),
        )
        self.predictions_bytes = Counter(
            "darkroom_predictions_bytes", "Size of the prediction log.", ("model",), kind="gauge", join=max
        )
        self.shadow_ratio = Histogram(
            "darkroom_shadow_latency_ratio",
            "A challenger's computing time in the champion's, where both computed equally many rows together.",
            RATIOS,
            ("model", "champion", "challenger"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return all values as JSON takes them."""
        return {metric.name: list(metric.values.items()) for metric in self.all()}

    def merge(self, values: Mapping[str, Any]) -> None:
        """Join what another worker's :meth:`to_json` gave."""
        for metric in self.all():
            metric.merge(values.get(metric.name, ()))

    def forget(self, model: str, version: str) -> None:
        """Drop what was counted of a version that is long gone: a server that runs for years does not grow."""
        for metric in self.all():
            if metric.labels[:2] == ("model", "version"):
                for labels in [key for key in metric.values if key[:2] == (model, version)]:
                    del metric.values[labels]

    def all(self) -> list[Counter | Histogram]:
        """Return every metric."""
        return [value for value in vars(self).values() if isinstance(value, Counter | Histogram)]


def text(metrics: Iterable[Counter | Histogram]) -> str:
    """Return Prometheus' text format, version 0.0.4."""
    lines = []
    for metric in metrics:
        lines += [
            f"# HELP {metric.name} {metric.help}",
            f"# TYPE {metric.name} {metric.kind}",
            *metric.lines(),
        ]
    return "\n".join(lines) + "\n"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
