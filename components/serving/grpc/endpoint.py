"""What stands around every method: access, limits, status codes, counters, log. REST's is ``application.py``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

import grpc
from google.protobuf.message import DecodeError, Message

from components.serving.grpc import weight
from components.serving.grpc.methods import Call, Method
from components.serving.http.access import Gatekeeper
from components.serving.http.messages import RequestError
from components.serving.http.request_ids import RequestIds
from components.serving.service import Service

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""The status code of each status with which a request is refused."""

_LEVELS = {500: logging.ERROR, 503: logging.WARNING}
_NAME = 256  # characters of a model's name in the log
_DETAILS = 2000  # bytes; encoded three times as many, and clients take 8,192 of all trailing metadata

log = logging.getLogger("darkroom.serving")


class Endpoint:
    """Answers the calls of all methods."""

    def __init__(self, service: Service) -> None:
        self._service, self._metrics = service, service.metrics
        self._gatekeeper = Gatekeeper(service.settings, service.tokens)
        self._ids = RequestIds()

    def handler(self, method: Method) -> grpc.RpcMethodHandler:
        """Return what gRPC calls for ``method``.

        To gRPC the request is a stream, which on the wire is the same: it is read here, after access was checked
        and for no longer than it may take. The library would first read it whole, from anybody, without a limit of
        time.
        """

        async def answer(_: object, context: grpc.aio.ServicerContext) -> bytes:
            return await self._answer(method, context)

        return grpc.stream_unary_rpc_method_handler(answer)

    async def _answer(self, method: Method, context: grpc.aio.ServicerContext) -> bytes:
        came = time.perf_counter()
        headers = _headers(context)
        id, call, answer, refused = self._ids.of(headers.get(b"x-request-id")), Call(), b"", None
        try:
            self._gatekeeper.check(method.access, headers)
            asked = _parsed(method, await self._content(context))
            call.timeout_s = context.time_remaining()
            answer = (await method.handler(asked, call)).SerializeToString()
        except RequestError as error:
            refused = error
        except Exception:
            log.exception("a handler failed", extra={"request": id, "path": method.name})
            refused = RequestError(500, "internal error; the server's log has it under this request's id")
        self._record(id, method, call, refused, time.perf_counter() - came)
        trailing = (("x-request-id", id), *_trailing(refused))
        if refused is not None:
            await context.abort(CODES[refused.status], _shortened(str(refused)), trailing)
        context.set_trailing_metadata(trailing)
        return answer

    async def _content(self, context: grpc.aio.ServicerContext) -> bytes:
        """Return the message.

        Raises:
            RequestError: it does not arrive in time (504), or there is none (400).
        """
        limit_s = self._service.settings.request_s
        try:
            async with asyncio.timeout(limit_s):
                content = await context.read()
        except TimeoutError:
            raise RequestError(504, f"the request did not arrive whole within {limit_s:g} s") from None
        if content is grpc.aio.EOF:
            raise RequestError(400, "the call has no message")
        return content

    def _record(
        self, id: str, method: Method, call: Call, refused: RequestError | None, seconds: float
    ) -> None:
        status = refused.status if refused else 200
        code = (CODES[status] if refused else grpc.StatusCode.OK).name
        self._metrics.requests.add("gRPC", method.name, code)
        model, version = call.model
        if status in (413, 429, 503):
            # Names that are no model's would fill the memory.
            known = model if self._service.repository.knows(model) else ""
            self._metrics.rejected.add(known, str(status))
        if refused or self._service.settings.access_log:
            told = {
                "request": id,
                "method": "gRPC",
                "path": method.name,
                "status": code,
                "ms": round(1e3 * seconds, 3),
                "model": model[:_NAME],
                "version": version,
            }
            log.log(_LEVELS.get(status, logging.INFO), "request", extra=told)


def _headers(context: grpc.aio.ServicerContext) -> dict[bytes, bytes]:
    """Return the call's metadata as headers, of one that is given twice the first."""
    headers: dict[bytes, bytes] = {}
    for name, value in context.invocation_metadata() or ():
        headers.setdefault(name.encode(), value.encode() if isinstance(value, str) else value)
    return headers


def _parsed(method: Method, content: bytes) -> Message:
    weight.check(content)
    try:
        return method.asked.FromString(content)
    except DecodeError:
        raise RequestError(400, f"the message is no {method.asked.DESCRIPTOR.name}") from None


def _trailing(refused: RequestError | None) -> Iterator[tuple[str, str]]:
    """Yield a refusal's headers; when to come again in the form that gRPC's clients heed (gRFC A6)."""
    for name, value in refused.headers if refused else ():
        if name == b"retry-after":
            yield "grpc-retry-pushback-ms", f"{1000 * int(value)}"
        else:
            yield name.decode(), value.decode()


def _shortened(text: str) -> str:
    """Return ``text`` as long as a status may be: it can quote what the client sent."""
    content = text.encode()
    return text if len(content) <= _DETAILS else content[:_DETAILS].decode(errors="ignore") + "..."
