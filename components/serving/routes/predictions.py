"""The prediction log, for those whose requests it holds: a request is forgotten."""

from __future__ import annotations

from components.serving.http.messages import Request, Response
from components.serving.http.routing import Route
from components.serving.predictions import forgetting
from components.serving.request_error import Reason, RequestError
from components.serving.service import Service


def routes(service: Service) -> list[Route]:
    """Return the routes of the prediction log."""

    async def forget(request: Request) -> Response:
        model, id = request.parameters["model"], request.parameters["request"]
        if model not in service.settings.prediction_log:
            raise RequestError(Reason.NOT_FOUND, f"{model}: params.yaml: prediction_log: has no such model")
        await service.aside(forgetting.ask, model, id)
        return Response.json({"model": model, "request_id": id, "forgotten": "within seconds"})

    return [Route("DELETE", "/v1/models/{model}/predictions/{request}", forget, "admin")]
