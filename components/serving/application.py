"""The application: limits, access, the handler, and errors in the protocol's form."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from functools import partial

from components.serving import page
from components.serving.data_plane import DataPlane
from components.serving.http.connection import Respond
from components.serving.http.errors import error_response
from components.serving.http.messages import Later, Pending, Request, Response
from components.serving.http.routing import Router
from components.serving.request_error import Reason, RequestError
from components.serving.routes import (
    health,
    inference,
    metadata,
    openapi,
    people,
    predictions,
    repository,
    statistics,
    webhooks,
)
from components.serving.service import Service

ROUTES = (health, metadata, inference, repository, statistics, webhooks, people, predictions, openapi, page)
"""The modules of routes; each has ``routes(service)``."""


class Application:
    """Answers the requests of all connections of a worker."""

    def __init__(self, service: Service) -> None:
        self._plane = DataPlane(service)
        self._router = Router(route for module in ROUTES for route in module.routes(service))
        self._max_body = service.settings.max_body
        self._loop = asyncio.get_running_loop()

    def admit(self, request: Request) -> None:
        """Find what answers a request, and check all that can be checked before its body is read.

        Raises:
            RequestError: there is no such path, or none with this method; the client may not ask; the body is
                compressed or too long.
        """
        request.id = self._plane.id_of(request.headers)
        route, request.parameters = self._router.find(request.method, request.path)
        request.handler, request.pattern = route.handler, route.pattern
        self._plane.admit(route.access, request.headers)
        if request.header(b"content-encoding") not in (None, b"", b"identity"):
            raise RequestError(Reason.ENCODED, "send the body as it is: compressed ones are not taken")
        length = request.header(b"content-length")
        if length is not None and int(length) > self._max_body:
            raise RequestError(
                Reason.TOO_LARGE, f"the body has {int(length)} bytes; at most {self._max_body}"
            )

    def admit_vital(self, request: Request) -> None:
        """Check as :meth:`admit` on a connection beyond the most.

        Raises:
            RequestError: as there, and where it is no probe and nothing that operators need.
        """
        self.admit(request)
        if not self._router.find(request.method, request.path)[0].vital:
            raise RequestError(Reason.BUSY, "too many connections; try again", retry_after_s=1)

    def answer(self, request: Request, respond: Respond) -> Pending | None:
        """Answer a request: one that was admitted by its handler, and one that was refused by the reason.

        Returns:
            What is being waited for, if the response comes later. Cancel it, and none comes.
        """
        came = time.perf_counter()
        if request.refused is not None:
            self._fail(request, request.refused, came, respond)
            return None
        try:
            answer: Later | Awaitable[Response] = request.handler(request)
        except Exception as error:
            self._fail(request, error, came, respond)
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
            self._fail(request, error, came, respond)
        else:
            self._finish(request, response, None, came, respond)

    def _fail(self, request: Request, error: Exception, came: float, respond: Respond) -> None:
        """Respond with the reason why a request is not answered."""
        request.id = request.id or self._plane.id_of(request.headers)
        told = self._plane.error_of(error, request.id, request.path)
        self._plane.count_rejected(request.parameters.get("model", ""), told)
        self._finish(request, error_response(told), told, came, respond)

    def _finish(
        self, request: Request, response: Response, error: RequestError | None, came: float, respond: Respond
    ) -> None:
        plane, status = self._plane, response.status
        plane.count(request.method, request.pattern, str(status))
        if status >= 400 or plane.access_log:
            model = request.model or (request.parameters.get("model", ""), "")
            seconds = time.perf_counter() - came
            plane.log(request.id, request.method, request.path, status, error, model, seconds)
        respond(request, response)
