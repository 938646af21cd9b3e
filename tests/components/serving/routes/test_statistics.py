"""The statistics extension: what tools of the protocol compute with."""

from __future__ import annotations

from components.serving.routes.statistics import _of
from components.serving.telemetry.counters import Metrics


def test_each_part_of_computing_is_counted_as_often():
    metrics = Metrics()
    metrics.computed.of("m", "1")(0.5, 3)
    metrics.executions.add("m", "1", "2")
    told = _of(metrics, "m", "1")
    parts = "compute_input", "compute_infer", "compute_output"
    assert [told["inference_stats"][part]["count"] for part in parts] == [3, 3, 3]
    assert [[batch[part]["count"] for part in parts] for batch in told["batch_stats"]] == [[1, 1, 1]]
