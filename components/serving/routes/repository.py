"""The model repository extension: what there is, taking a model out, and putting it back."""

from __future__ import annotations

from typing import Any

from components.serving.http.messages import Request, Response
from components.serving.http.routing import Route
from components.serving.request_error import Reason, RequestError
from components.serving.service import Service
from components.serving.v2.infer_request import parameters_of
from components.serving.v2.values import boolean_of


def routes(service: Service) -> list[Route]:
    """Return the routes of the model repository."""

    async def index(request: Request) -> Response:
        asked = _read(request)
        entries = service.repository.index()
        if boolean_of(asked, "ready", False, "the request"):
            entries = [entry for entry in entries if entry.state == "READY"]
        return Response.json(
            [
                {"name": entry.name, "version": entry.version, "state": entry.state, "reason": entry.reason}
                for entry in entries
            ]
        )

    async def load(request: Request) -> Response:
        name = request.parameters["model"]
        for key in _parameters(request):
            raise RequestError(
                Reason.INVALID,
                f"{name}: parameters.{key} is not supported: a model is loaded as the registry has it",
            )
        await _ask(name, unloaded=False)
        service.repository.get(name)
        if refusal := service.repository.refused().get(name):
            raise RequestError(
                Reason.INVALID, f"{name}: version {refusal.version} was refused: {refusal.reason}"
            )
        return Response.json({"name": name, "state": "READY"})

    async def unload(request: Request) -> Response:
        name = request.parameters["model"]
        boolean_of(_parameters(request), "unload_dependents", False, "the request")  # no model has any
        if all(entry.name != name for entry in service.repository.index()):
            raise RequestError(Reason.NOT_FOUND, f"no model {name!r}")
        await _ask(name, unloaded=True)
        return Response.json({"name": name, "state": "UNAVAILABLE"})

    async def _ask(name: str, *, unloaded: bool) -> None:
        try:
            await service.reconciler.ask(name, unloaded=unloaded)
        except TimeoutError:
            raise RequestError(
                Reason.BUSY, f"{name}: not done in time; POST /v2/repository/index says how it stands"
            ) from None

    return [
        Route("POST", "/v2/repository/index", index, vital=True),
        Route("POST", "/v2/repository/models/{model}/load", load, "admin", vital=True),
        Route("POST", "/v2/repository/models/{model}/unload", unload, "admin", vital=True),
    ]


def _read(request: Request) -> dict[str, Any]:
    """Return what a request says; one without a body says nothing."""
    asked = request.json() if request.body else {}
    if not isinstance(asked, dict):
        raise RequestError(Reason.INVALID, "the request is a JSON object")
    return asked


def _parameters(request: Request) -> dict[str, Any]:
    return parameters_of(_read(request), "the request")
