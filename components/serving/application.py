"""The ASGI application: limits, access, the handler, and errors in the protocol's form."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from components.serving import (
    health,
    inference,
    metadata,
    openapi,
    page,
    people,
    repository_routes,
    statistics,
)
from components.serving.access import Gatekeeper
from components.serving.messages import Refused, Request, Response
from components.serving.request_ids import RequestIds
from components.serving.routing import Router
from components.serving.service import Service

ROUTES = (health, metadata, inference, repository_routes, statistics, people, openapi, page)
"""The modules of routes; each has ``routes(service)``."""

_DISCARD_S = 1.0

log = logging.getLogger("darkroom.serving")

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Application:
    """Answers HTTP requests over ASGI."""

    def __init__(self, service: Service) -> None:
        self._service, self._metrics = service, service.metrics
        self._router = Router(route for module in ROUTES for route in module.routes(service))
        self._gatekeeper = Gatekeeper(service.settings, service.tokens)
        self._max_body = service.settings.max_body
        self._ids = RequestIds()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        came = time.perf_counter()
        request = Request(scope)
        request.id = self._ids.of(request.header(b"x-request-id"))
        pattern, unread = "", False
        try:
            route, request.parameters = self._router.find(request.method, request.path)
            pattern = route.pattern
            self._gatekeeper.check(route.access, request.header)
            request.body = await self._body(request, receive)
            request.arrived = True
            response = await route.handler(request)
        except Refused as refused:
            response = _told(refused)
            unread = not request.arrived and request.method not in ("GET", "HEAD")
            if refused.status in (413, 429, 503):
                # Names that are no model's would fill the memory.
                model = request.parameters.get("model", "")
                known = model if self._service.repository.knows(model) else ""
                self._metrics.rejected.add(known, str(refused.status))
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a handler failed", extra={"request": request.id, "path": request.path})
            response = _told(Refused(500, "internal error; the server's log has it under this request's id"))
        self._record(request, pattern, response, time.perf_counter() - came)
        length = (b"content-length", str(len(response.body)).encode())
        headers = [*response.headers, length, (b"x-request-id", request.id.encode())]
        if unread or self._service.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        body = b"" if request.method == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body, "more_body": unread})
        if unread:
            await self._discard(receive)
            await send({"type": "http.response.body"})

    async def _body(self, request: Request, receive: Receive) -> bytes:
        """Return the whole body.

        Raises:
            Refused: it is too long (413), compressed (415), or the client left (400).
        """
        encoding = request.header(b"content-encoding")
        if encoding not in (None, b"", b"identity"):
            raise Refused(415, "send the body as it is: compressed ones are not taken")
        length = request.header(b"content-length")
        if length is not None and int(length) > self._max_body:
            raise Refused(413, f"the body has {int(length)} bytes; at most {self._max_body}")
        parts, size, more = [], 0, True
        while more:  # that they come in time is the connection's business
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "the client left")
            parts.append(message["body"])
            size, more = size + len(parts[-1]), message["more_body"]
            if size > self._max_body:
                raise Refused(413, f"the body has more than {self._max_body} bytes")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _record(self, request: Request, pattern: str, response: Response, seconds: float) -> None:
        self._metrics.requests.add(request.method, pattern, str(response.status))
        if response.status >= 400 or self._service.settings.access_log:
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

    async def _discard(self, receive: Receive) -> None:
        """Read what is left of a refused body, within bounds.

        A connection that ends with bytes unread is reset, and the client would not see why it was refused.
        """
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_S):
                while size <= self._max_body:
                    message = await receive()
                    if not message.get("more_body"):
                        return
                    size += len(message["body"])


def _told(refused: Refused) -> Response:
    response = Response.json({"error": str(refused)}, status=refused.status)
    response.headers += refused.headers
    return response
