"""The application: limits, access, the handler, and errors in the protocol's form."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from functools import partial

from components.serving import page
from components.serving.http.access import Gatekeeper
from components.serving.http.connection import Respond
from components.serving.http.messages import Later, Pending, Request, RequestError, Response
from components.serving.http.request_ids import RequestIds
from components.serving.http.routing import Router
from components.serving.routes import (
    health,
    inference,
    metadata,
    openapi,
    people,
    repository,
    statistics,
    webhooks,
)
from components.serving.service import Service

ROUTES = (health, metadata, inference, repository, statistics, webhooks, people, openapi, page)
"""The modules of routes; each has ``routes(service)``."""

log = logging.getLogger("darkroom.serving")


class Application:
    """Answers the requests of all connections of a worker."""

    def __init__(self, service: Service) -> None:
        self._service, self._metrics = service, service.metrics
        self._router = Router(route for module in ROUTES for route in module.routes(service))
        self._gatekeeper = Gatekeeper(service.settings, service.tokens)
        self._max_body, self._access_log = service.settings.max_body, service.settings.access_log
        self._ids = RequestIds()
        self._loop = asyncio.get_running_loop()

    def admit(self, request: Request) -> None:
        """Find what answers a request, and check all that can be checked before its body is read.

        Raises:
            RequestError: there is no such path (404), or none with this method (405); the client may not ask
                (401, 403); the body is compressed (415) or too long (413).
        """
        request.id = self._ids.of(request.header(b"x-request-id"))
        request.route, request.parameters = self._router.find(request.method, request.path)
        self._gatekeeper.check(request.route.access, request.headers)
        if request.header(b"content-encoding") not in (None, b"", b"identity"):
            raise RequestError(415, "send the body as it is: compressed ones are not taken")
        length = request.header(b"content-length")
        if length is not None and int(length) > self._max_body:
            raise RequestError(413, f"the body has {int(length)} bytes; at most {self._max_body}")

    def answer(self, request: Request, respond: Respond) -> Pending | None:
        """Answer a request: one that was admitted by its handler, and one that was refused by the reason.

        Returns:
            What is being waited for, if the response comes later. Cancel it, and none comes.
        """
        came = time.perf_counter()
        if request.refused is not None:
            self._finish(request, self._refusal(request, request.refused), came, respond)
            return None
        try:
            answer: Later | Awaitable[Response] = request.route.handler(request)
        except Exception as error:
            self._finish(request, self._failure(request, error), came, respond)
            return None
        if not isinstance(answer, Later):
            task = self._loop.create_task(answer)
            answer = Later(task, task.result)
        answer.pending.add_done_callback(partial(self._done, request, answer, came, respond))
        return answer.pending

    def _done(self, request: Request, answer: Later, came: float, respond: Respond, _: Pending) -> None:
        """Respond with what has been waited for."""
        try:
            response = answer.finish()
        except asyncio.CancelledError:
            return  # a handler's task; the client has left
        except Exception as error:
            response = self._failure(request, error)
        self._finish(request, response, came, respond)

    def _finish(self, request: Request, response: Response, came: float, respond: Respond) -> None:
        self._metrics.requests.add(
            request.method, request.route.pattern if request.route else "", str(response.status)
        )
        if response.status >= 400 or self._access_log:
            self._log(request, response, time.perf_counter() - came)
        respond(request, response)

    def _failure(self, request: Request, error: Exception) -> Response:
        """Return the response to a request whose handler raised ``error``."""
        if isinstance(error, RequestError):
            return self._refusal(request, error)
        log.error("a handler failed", exc_info=error, extra={"request": request.id, "path": request.path})
        return _told(RequestError(500, "internal error; the server's log has it under this request's id"))

    def _refusal(self, request: Request, refused: RequestError) -> Response:
        request.id = request.id or self._ids.of(request.header(b"x-request-id"))
        if refused.status in (413, 429, 503):
            # Names that are no model's would fill the memory.
            model = request.parameters.get("model", "")
            known = model if self._service.repository.knows(model) else ""
            self._metrics.rejected.add(known, str(refused.status))
        return _told(refused)

    def _log(self, request: Request, response: Response, seconds: float) -> None:
        model, version = request.model or (request.parameters.get("model", ""), "")
        told = {
            "request": request.id,
            "method": request.method,
            "path": request.path,
            "status": response.status,
            "ms": round(1e3 * seconds, 3),
            "model": model,
            "version": version,
        }
        level = {500: logging.ERROR, 503: logging.WARNING}.get(response.status, logging.INFO)
        log.log(level, "request", extra=told)


def _told(refused: RequestError) -> Response:
    return Response.json({"error": str(refused)}, status=refused.status, headers=refused.headers)
