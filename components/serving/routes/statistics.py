"""The statistics extension, and ``/metrics``: the same counters in two forms."""

from __future__ import annotations

from typing import Any

from components.serving.http.messages import Request, Response, head
from components.serving.http.routing import Route
from components.serving.service import Service
from components.serving.telemetry.counters import Histogram, Metrics, text

_TEXT = head(b"text/plain; version=0.0.4; charset=utf-8")


def routes(service: Service) -> list[Route]:
    """Return the routes of statistics and metrics."""

    async def one(request: Request) -> Response:
        served = service.repository.get(request.parameters["model"], request.parameters.get("version"))
        return Response.json({"model_stats": [_of(service.total(), *served.labels)]})

    async def all_models(request: Request) -> Response:
        total = service.total()
        return Response.json({"model_stats": [_of(total, *s.labels) for s in service.repository.served()]})

    async def metrics(request: Request) -> Response:
        return Response(text(service.total().all()).encode(), _TEXT)

    return [
        Route("GET", "/v2/models/stats", all_models),
        Route("GET", "/v2/models/{model}/stats", one),
        Route("GET", "/v2/models/{model}/versions/{version}/stats", one),
        Route("GET", "/metrics", metrics, vital=True),
    ]


def _of(metrics: Metrics, name: str, version: str) -> dict[str, Any]:
    labels = name, version
    succeeded, success_ns = _totals(metrics.latency, labels)
    queued, queued_ns = _totals(metrics.queued, labels)
    computed, computed_ns = _totals(metrics.computed, labels)
    sizes = metrics.executions.values
    executed = {int(size): int(n) for (n_, v, size), n in sizes.items() if (n_, v) == labels}
    # Copying in and out is a part of computing here. Clients divide by these counts, so that they must be equal.
    copied = {"count": computed, "ns": 0}
    return {
        "name": name,
        "version": version,
        "inference_count": int(metrics.rows.values.get(labels, 0)),
        "execution_count": sum(executed.values()),
        "inference_stats": {
            "success": {"count": succeeded, "ns": success_ns},
            "fail": {"count": int(metrics.failed.values.get(labels, 0)), "ns": 0},
            "queue": {"count": queued, "ns": queued_ns},
            "compute_input": copied,
            "compute_infer": {"count": computed, "ns": computed_ns},
            "compute_output": copied,
        },
        "batch_stats": [
            {
                "batch_size": size,
                "compute_input": {"count": count},
                "compute_infer": {"count": count},
                "compute_output": {"count": count},
            }
            for size, count in sorted(executed.items())
        ],
    }


def _totals(histogram: Histogram, labels: tuple[str, str]) -> tuple[int, int]:
    """Return the number of observations and their sum in nanoseconds."""
    cells = histogram.values.get(labels)
    return (int(sum(cells[:-1])), round(1e9 * cells[-1])) if cells else (0, 0)
