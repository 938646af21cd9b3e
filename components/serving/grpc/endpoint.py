"""Answers calls of gRPC: reads the message, asks the method, tells the result. REST's is ``application.py``."""

from __future__ import annotations

import asyncio
import time

import grpc
from google.protobuf.message import DecodeError, Message

from components.serving.data_plane import DataPlane
from components.serving.grpc import weight
from components.serving.grpc.errors import CODES, details, trailing
from components.serving.grpc.methods import Call, Method
from components.serving.request_error import Reason, RequestError, too_slow
from components.serving.service import Service


class Endpoint:
    """Answers the calls of all methods."""

    def __init__(self, service: Service) -> None:
        self._plane, self._request_s = DataPlane(service), service.settings.request_s

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
        id, call, answer, refused = self._plane.id_of(headers), Call(), b"", None
        try:
            self._plane.admit(method.access, headers)
            asked = _parsed(method, await self._content(context))
            call.timeout_s = context.time_remaining()
            answer = (await method.handler(asked, call)).SerializeToString()
        except Exception as error:
            refused = self._plane.error_of(error, id, method.name)
        self._record(id, method, call, refused, time.perf_counter() - came)
        await _end(context, id, refused)
        return answer

    async def _stream(self, method: Method, context: grpc.aio.ServicerContext) -> None:
        came = time.perf_counter()
        headers = _headers(context)
        id, refused = self._plane.id_of(headers), None
        try:
            self._plane.admit(method.access, headers)
            async for answer in method.handler(_parsed(method, await self._content(context))):
                await context.write(answer.SerializeToString())
        except Exception as error:
            refused = self._plane.error_of(error, id, method.name)
        self._record(id, method, Call(), refused, time.perf_counter() - came)
        await _end(context, id, refused)

    async def _content(self, context: grpc.aio.ServicerContext) -> bytes:
        """Return the message.

        Raises:
            RequestError: it does not arrive in time (TOO_SLOW), or there is none (INVALID).
        """
        limit_s = self._request_s
        try:
            async with asyncio.timeout(limit_s):
                content = await context.read()
        except TimeoutError:
            raise too_slow(limit_s) from None
        if content is grpc.aio.EOF:
            raise RequestError(Reason.INVALID, "the call has no message")
        return content

    def _record(
        self, id: str, method: Method, call: Call, refused: RequestError | None, seconds: float
    ) -> None:
        status = (CODES[refused.reason] if refused else grpc.StatusCode.OK).name
        self._plane.count("gRPC", method.name, status)
        if refused:
            self._plane.count_rejected(call.model[0], refused)
        if refused or self._plane.access_log:
            self._plane.log(id, "gRPC", method.name, status, refused, call.model, seconds)


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
