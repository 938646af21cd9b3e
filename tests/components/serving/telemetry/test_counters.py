"""The metrics' text against Prometheus' own parser, and joining the counters of several workers."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.serving.telemetry.counters import Counter, Histogram, Metrics, text


def parsed(*metrics) -> dict[tuple[str, tuple], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text(metrics))
        for sample in family.samples
    }


def test_the_text_is_prometheus():
    counter = Counter("c_total", "Counts.", ("model",))
    strange = 'a "quoted" \\ name\nof two lines'
    counter.add("m", by=2)
    counter.add(strange)
    histogram = Histogram("h_seconds", "Times.", (0.1, 1.0), ("model",))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value, "m")
    m = ("model", "m")
    assert parsed(counter, histogram) == {
        ("c_total", (m,)): 2,
        ("c_total", (("model", strange),)): 1,
        ("h_seconds_bucket", (("le", "0.1"), m)): 2,
        ("h_seconds_bucket", (("le", "1.0"), m)): 3,
        ("h_seconds_bucket", (("le", "+Inf"), m)): 4,
        ("h_seconds_sum", (m,)): pytest.approx(7.65),
        ("h_seconds_count", (m,)): 4,
    }


def test_every_metric_is_named_once_and_helps():
    names = [metric.name for metric in Metrics().all()]
    assert len(names) == len(set(names)) and all(name.startswith("darkroom_") for name in names)
    families = list(text_string_to_metric_families(text(Metrics().all())))
    assert len(families) == len(names) and all(family.documentation for family in families)


def test_workers_are_joined():
    one, other = Metrics(), Metrics()
    for metrics, rows in ((one, 3), (other, 4)):
        metrics.rows.add("m", "1", by=rows)
        metrics.latency.observe(0.003, "m", "1")
        metrics.served.set(1, "m", "1")
        metrics.waiting.set(rows, "m", "1")
    one.registry_up.set(1)
    other.registry_up.set(0)
    total = Metrics()
    for metrics in (one, other):
        total.merge(json.loads(json.dumps(metrics.to_json())))
    key = ("m", "1")
    assert (total.rows.values[key], total.waiting.values[key], total.served.values[key]) == (7, 7, 1)
    assert total.registry_up.values == {(): 0}
    assert sum(total.latency.values[key][:-1]) == 2 and total.latency.values[key][-1] == pytest.approx(0.006)


def test_a_version_that_is_long_gone_is_forgotten():
    metrics = Metrics()
    for version in ("1", "2"):
        metrics.rows.add("m", version)
        metrics.executions.add("m", version, "64")
        metrics.latency.observe(0.1, "m", version)
    metrics.forget("m", "1")
    assert list(metrics.rows.values) == [("m", "2")] and list(metrics.latency.values) == [("m", "2")]
    assert list(metrics.executions.values) == [("m", "2", "64")]
