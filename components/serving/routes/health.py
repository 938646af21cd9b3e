"""``/v2/health``: whether the server lives, whether it answers for all its models, and which versions it refuses."""

from __future__ import annotations

from dataclasses import asdict

from components.serving.http.messages import Request, Response
from components.serving.http.routing import Route
from components.serving.service import Service


def routes(service: Service) -> list[Route]:
    """Return the routes of health; probes need no token, and tell nothing of models."""

    async def live(request: Request) -> Response:
        return Response.json({"live": True})

    async def ready(request: Request) -> Response:
        return Response.json({"ready": service.ready}, status=200 if service.ready else 503)

    async def detail(request: Request) -> Response:
        refused = [{"name": name, **asdict(r)} for name, r in sorted(service.repository.refused().items())]
        return Response.json({"live": True, "ready": service.ready, "refused": refused})

    async def model_ready(request: Request) -> Response:
        served = service.repository.get(request.parameters["model"], request.parameters.get("version"))
        return Response.json({"name": served.name, "ready": True})

    return [
        Route("GET", "/v2/health", detail, vital=True),
        Route("GET", "/v2/health/live", live, "open", vital=True),
        Route("GET", "/v2/health/ready", ready, "open", vital=True),
        Route("GET", "/v2/models/{model}/ready", model_ready, vital=True),
        Route("GET", "/v2/models/{model}/versions/{version}/ready", model_ready, vital=True),
    ]
