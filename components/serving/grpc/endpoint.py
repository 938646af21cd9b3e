"""Answers calls of gRPC: reads the message, asks the method, tells the result. REST's is ``application.py``."""

from __future__ import annotations

import time

import grpc
from google.protobuf.message import DecodeError, Message

from components.serving.data_plane import DataPlane
from components.serving.grpc import weight
from components.serving.grpc.arrivals import Arrivals
from components.serving.grpc.errors import CODES, details, trailing
from components.serving.grpc.methods import Call, Method
from components.serving.http.body import Budget
from components.serving.request_error import Reason, RequestError
from components.serving.service import Service

_PATIENCE_S = 2.0
_PROBE_PATIENCE_S = 0.25


class Endpoint:
    """Answers the calls of all methods."""

    def __init__(self, service: Service) -> None:
        self._plane, settings = DataPlane(service), service.settings
        self._arrivals = Arrivals(service.budget, settings.max_body, settings.request_s, _PATIENCE_S)
        # Probes come from anybody, and find room whatever is asked besides: one at a time, and small.
        self._probes = Arrivals(Budget(0), settings.max_body, settings.request_s, _PROBE_PATIENCE_S)

    def handler(self, method: Method) -> grpc.RpcMethodHandler:
        """Return what gRPC calls for ``method``.

        To gRPC the request is a stream, which on the wire is the same: it is read here, after access was checked
        and for no longer than it may take. The library would first read it whole, from anybody, without a limit of
        time.
        """

        async def answer(_: object, context: grpc.aio.ServicerContext) -> bytes:
            return await self._answer(method, context)

        return grpc.stream_unary_rpc_method_handler(answer)

    def streaming_handler(self, method: Method) -> grpc.RpcMethodHandler:
        """Return what gRPC calls for ``method``, whose handler yields its answers."""

        async def answer(_: object, context: grpc.aio.ServicerContext) -> None:
            await self._stream(method, context)

        return grpc.stream_stream_rpc_method_handler(answer)

    async def _answer(self, method: Method, context: grpc.aio.ServicerContext) -> bytes:
        came = time.perf_counter()
        headers = _headers(context)
        id, answer, refused = self._plane.id_of(headers), b"", None
        call = Call(id=id, headers=headers)
        try:
            self._plane.admit(method.access, headers)
            answer = await self._computed(method, call, context)
        except Exception as error:
            refused = _alone(self._plane.error_of(error, id, method.name))
        self._record(id, method, call, refused, time.perf_counter() - came)
        await _end(context, id, refused)
        return answer

    async def _computed(self, method: Method, call: Call, context: grpc.aio.ServicerContext) -> bytes:
        arrivals = self._arrivals_of(method)
        content, held = await arrivals.take(lambda: _message(context))
        try:
            asked = _parsed(method, content)
            del content
            call.timeout_s = context.time_remaining()
            return (await method.handler(asked, call)).SerializeToString()
        finally:
            arrivals.release(held)

    async def _stream(self, method: Method, context: grpc.aio.ServicerContext) -> None:
        came = time.perf_counter()
        headers = _headers(context)
        id, refused = self._plane.id_of(headers), None
        arrivals = self._arrivals_of(method)
        try:
            self._plane.admit(method.access, headers)
            content, held = await arrivals.take(lambda: _message(context))
            arrivals.release(held)  # what asks for many answers is small
            async for answer in method.handler(_parsed(method, content)):
                await context.write(answer.SerializeToString())
        except Exception as error:
            refused = _alone(self._plane.error_of(error, id, method.name))
        self._record(id, method, Call(), refused, time.perf_counter() - came)
        await _end(context, id, refused)

    def _arrivals_of(self, method: Method) -> Arrivals:
        return self._probes if method.access == "open" else self._arrivals

    def _record(
        self, id: str, method: Method, call: Call, refused: RequestError | None, seconds: float
    ) -> None:
        status = (CODES[refused.reason] if refused else grpc.StatusCode.OK).name
        self._plane.count("gRPC", method.name, status)
        if refused:
            self._plane.count_rejected(call.model[0], refused)
        if refused or self._plane.access_log:
            self._plane.log(id, "gRPC", method.name, status, refused, call.model, seconds)


async def _message(context: grpc.aio.ServicerContext) -> bytes:
    content = await context.read()
    if content is grpc.aio.EOF:
        raise RequestError(Reason.INVALID, "the call has no message")
    return content


def _alone(error: RequestError) -> RequestError:
    """Return ``error`` without the frames that it came through: they hold the message until the collector runs."""
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


async def _end(context: grpc.aio.ServicerContext, id: str, refused: RequestError | None) -> None:
    """Say how a call ended, and under which name it is in the log."""
    if refused is not None:
        told = (("x-request-id", id), *trailing(refused))
        await context.abort(CODES[refused.reason], details(refused), told)
    context.set_trailing_metadata((("x-request-id", id),))


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
        raise RequestError(Reason.INVALID, f"the message is no {method.asked.DESCRIPTOR.name}") from None
