"""One connection of a client: HTTP/1.1, from the parser straight into the application.

A small request is answered in a few tens of microseconds, so that what lies between the socket and the handler counts.
Here that is a parser in C (llhttp, by httptools) and nothing else: no task, queue or timer is made for a request, and
a small response is one write. The server looks at all connections now and then and ends those that take too long.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

import httptools

from components.serving.http.body import Body, Budget
from components.serving.http.header_cache import Head
from components.serving.http.messages import Pending, Request, Response
from components.serving.request_error import Reason, RequestError, too_slow
from components.serving.settings import Settings

MAX_HEAD = 64 << 10
"""Most bytes of a request's target and headers."""

MAX_AHEAD = 100
"""Most requests of a client that wait for the answer to an earlier one. With their answers the connection ends."""

_LISTS = (b"connection", b"transfer-encoding")  # given twice, they are one list: the parser heeds all of it
_DISCARD_S = 1.0
_JOINED = 64 << 10
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}

log = logging.getLogger("darkroom.serving")

Respond = Callable[[Request, Response], None]


class Answers(Protocol):
    """What answers requests: :class:`~components.serving.application.Application`."""

    def admit(self, request: Request) -> None:
        """Check what can be checked before the body is read.

        Raises:
            RequestError: this cannot be answered.
        """

    def admit_vital(self, request: Request) -> None:
        """Check as :meth:`admit`, where there are too many connections.

        Raises:
            RequestError: this cannot be answered, or not now.
        """

    def answer(self, request: Request, respond: Respond) -> Pending | None:
        """Answer a request that has arrived, or was refused: ``respond`` is called with it, now or later.

        Returns:
            What is being waited for, if the response comes later. Cancel it, and none comes.
        """


class Connection(asyncio.Protocol):
    """Reads requests and writes responses, one after the other, in order.

    A request is refused as soon as it is clear that it cannot be answered, also while its body is still on its way.
    The rest of the body is then dropped for a moment before the connection ends: one that ends with bytes unread is
    reset, and the client would not see why it was refused.
    """

    def __init__(
        self, application: Answers, settings: Settings, connections: set[Connection], budget: Budget
    ) -> None:
        """Wait for a client.

        Args:
            application: what answers.
            settings: bounds of bodies and connections.
            connections: all open ones; this one is among them as long as it is open.
            budget: what holds the bodies of all of them.
        """
        self._application, self._settings, self._connections = application, settings, connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._since = time.monotonic()
        self._crowded, self._admit = False, application.admit
        # Of the request that is arriving.
        self._arriving = True  # the first one has its time from the start of the connection
        self._target, self._headers, self._head_size = b"", {}, 0
        self._request: Request | None = None
        self._budget, self._body = budget, Body(budget, settings.max_body)
        self._unheard = 0
        self._dropping, self._dropped = False, 0
        self._piece: bytes | None = None  # that it began with, if it may be all of it
        # Of those that have arrived.
        self._head: Head | None = None
        self._busy = False
        self._held = 0  # of the budget, for the body that is being answered
        self._waited: Pending | None = None
        self._next: deque[Request] = deque()
        self._paused = self._unread = self._last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = transport  # type: ignore[assignment]
        self._crowded = len(self._connections) >= self._settings.max_connections
        if self._crowded:
            self._admit = self._application.admit_vital
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the connection go: what nobody waits for any more need not be computed."""
        self._connections.discard(self)
        self._body.drop()
        self._budget.release(self._held + sum(request.held for request in self._next))
        self._held = 0
        self._next.clear()
        if self._waited is not None:
            self._waited.cancel()

    def end_if_late(self, now: float, idle_s: float, *, crowded: bool) -> None:
        """End the connection of a client that does not send its request or read its answer, or has gone quiet.

        Args:
            now: the time, by the monotonic clock.
            idle_s: seconds that it may be open while nothing of a request comes.
            crowded: whether it makes room for others; it is then told so.
        """
        if self._busy and not self._unread:
            return
        limit_s = self._settings.request_s
        if self._head_size == 0 and not self._unread:
            limit_s = min(limit_s, idle_s) if self._arriving else idle_s
        if now - self._since <= limit_s:
            return
        if self._unread:
            log.info("a client does not read its answer", extra={"seconds": limit_s})
            self._transport.abort()
        elif self._dropping or (self._head_size == 0 and not crowded):
            self._transport.close()
        elif self._head_size == 0:
            self._refuse_rest(
                RequestError(
                    Reason.BUSY, "too many connections: a silent one makes room; try again", retry_after_s=1
                )
            )
        elif self._request is not None:
            self._request.refused = self._request.refused or too_slow(limit_s)
            self._drop(self._request)
        else:
            self._refuse_rest(too_slow(limit_s))

    def drain(self) -> None:
        """Let what has come be the last."""
        self._last = True

    def close_if_idle(self) -> None:
        """End the connection, unless a request is arriving or being answered."""
        if not (self._busy or self._request or self._unread):
            self._transport.close()

    def abort(self) -> None:
        """End the connection as it is."""
        self._transport.abort()

    def pause_writing(self) -> None:
        """Note that the client does not read; called by the transport."""
        self._unread, self._since = True, time.monotonic()

    def resume_writing(self) -> None:
        """Note that the client reads again; called by the transport."""
        self._unread, self._since = False, time.monotonic()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._dropping:
            self._dropped += len(data)
            if self._dropped > self._settings.max_body:
                self._transport.close()
            return
        self._piece = None
        if self._head_size == 0 and not (self._busy or self._unread):
            if self._head is not None and (request := self._head.again(data)) is not None:
                self._take_again(request)
                return
            self._piece = data
        if not self._arriving:
            self._since = time.monotonic()
        before = (self._request, self._body.size) if self._head_size > 0 else None
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._read_plainly(memoryview(data), upgrade)
        except httptools.HttpParserCallbackError:
            log.exception("a request could not be read")
            self._transport.close()
        except httptools.HttpParserError as error:
            self._refuse_rest(RequestError(Reason.INVALID, f"this is no HTTP request: {error}"))
        if self._head_size > 0:
            self._bound(before, len(data))
        self._arriving = self._head_size > 0

    def _read_plainly(self, data: memoryview, upgrade: httptools.HttpParserUpgrade) -> None:
        """Read a request that asks for another protocol, and what follows it in ``data``, in this protocol."""
        while self._parser.get_method() != b"CONNECT":  # what follows that is no HTTP
            data, head = data[upgrade.args[0] :], self._head_without_upgrade()
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(head)
            try:
                return self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as another:
                upgrade = another

    def _bound(self, before: tuple[Request | None, int] | None, size: int) -> None:
        """Refuse a request that is still arriving if it is too large; ``before`` is how it stood ``size`` bytes ago."""
        if self._body.size:
            try:
                self._body.settle()
            except RequestError as refused:
                self._request.refused = self._request.refused or refused
                return self._drop(self._request)
        # The parser says nothing of what is not whole: a header without end.
        self._unheard = self._unheard + size if before == (self._request, self._body.size) else 0
        if self._unheard > MAX_HEAD:
            self._refuse_rest(_too_long(self._unheard))

    def _head_without_upgrade(self) -> bytes:
        """Return the head that was just read, as one that asks for no other protocol.

        The parser takes what follows an upgrade for the other protocol, the body as well, and cannot be told
        otherwise. Another one reads the same head without that wish, and then the body.
        """
        parser = self._parser
        start = b"%b %b HTTP/%b\r\n" % (parser.get_method(), self._target, parser.get_http_version().encode())
        headers = [b"%b: %b\r\n" % header for header in self._headers.items() if header[0] != b"upgrade"]
        return b"".join((start, *headers, b"\r\n"))

    def eof_received(self) -> bool:
        """Answer what has come of a client that sends no more, which may still read; called by the transport.

        Returns:
            Whether the connection stays open for that.
        """
        self._last = True
        if self._head_size > 0 and not self._dropping:
            self._refuse_rest(RequestError(Reason.INVALID, "the request ended before it was whole"))
            return True
        return self._busy or bool(self._next)

    # The parser calls these, in this order, for each request.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target, self._headers, self._head_size = b"", {}, 1

    def on_url(self, url: bytes) -> None:
        """Read a part of the target."""
        self._target += url
        self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a header."""
        if self._headers.setdefault(name.lower(), value) is not value and (name := name.lower()) in _LISTS:
            self._headers[name] += b", " + value
        self._head_size += len(name) + len(value)

    def on_headers_complete(self) -> None:
        """Check what can be checked before the body comes."""
        if self._dropping or len(self._next) >= MAX_AHEAD:
            self._last = True
            return
        parser = self._parser
        method = parser.get_method().decode("ascii")
        upgrades = parser.should_upgrade()
        if upgrades and method != "CONNECT":
            return  # it is read again, without that wish
        self._request = request = Request(method, *_split(self._target), self._headers)
        # A client of HTTP/1.0, or one that asks for a tunnel, gets its answer and no more.
        request.keep = parser.should_keep_alive() and parser.get_http_version() == "1.1" and not upgrades
        try:
            if self._crowded:
                request.keep = False
            if self._head_size > MAX_HEAD:
                raise _too_long(self._head_size)
            self._admit(request)
        except RequestError as refused:
            self._refuse(request, refused)
        else:
            waits = self._headers.get(b"expect", b"").lower() == b"100-continue"
            if waits and not self._busy and parser.get_http_version() == "1.1":  # 1.0 has no such answer
                self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Read a part of the body."""
        if self._request is not None and not self._dropping:
            self._body.add(body)

    def on_message_complete(self) -> None:
        """End a request."""
        request, self._request, self._head_size = self._request, None, 0
        if self._dropping:
            if not self._busy:
                self._transport.close()
        elif request is not None:
            if self._body.size:
                try:
                    request.body, request.held = self._body.take()
                except RequestError as refused:
                    self._body.drop()
                    request.refused = request.refused or refused
            if self._piece is not None:
                self._head, self._piece = Head.of(self._piece, request), None
            self._take(request)

    def respond(self, request: Request, response: Response) -> None:
        """Write the response to the request that is being answered, and go on with the next."""
        transport, body = self._transport, response.body
        self._busy, self._waited, self._since = False, None, time.monotonic()
        if self._held:
            self._budget.release(self._held)
            self._held = 0
        if transport.is_closing():
            return
        close = not request.keep or (self._last and not self._next)
        end = b"connection: close\r\n" if close else b""
        shown = b"" if request.method == "HEAD" else body
        joined = shown if len(shown) <= _JOINED else b""
        told = _STATUS[response.status], response.head, request.id.encode(), len(body), end, joined
        transport.write(b"%b%bx-request-id: %b\r\ncontent-length: %d\r\n%b\r\n%b" % told)
        if len(shown) > _JOINED:
            transport.write(shown)
        if not close:
            if self._next or self._paused:
                self._loop.call_soon(self._go_on)
        elif not self._dropping or self._request is None:
            transport.close()

    def _take_again(self, request: Request) -> None:
        """Check and answer a request that is like the last one."""
        try:
            self._admit(request)
        except RequestError as refused:
            request.refused = refused
        self._take(request)

    def _take(self, request: Request) -> None:
        """Answer a request now, or after those before it."""
        if self._busy or self._unread or self._next:
            self._next.append(request)
            self._pause()
        else:
            self._busy, self._held = True, request.held
            self._waited = self._application.answer(request, self.respond)

    def _go_on(self) -> None:
        """Answer the next request that has arrived; read on when there is none."""
        if self._busy or self._unread or self._transport.is_closing():
            return
        if self._next:
            request = self._next.popleft()
            self._busy, self._held = True, request.held
            self._waited = self._application.answer(request, self.respond)
        elif self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _pause(self) -> None:
        """Read no more until what was read is answered."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _refuse(self, request: Request, refused: RequestError) -> None:
        """Refuse a request that is still arriving: when it is whole if it has no body, and at once if it may have."""
        request.refused = refused
        if request.method not in ("GET", "HEAD"):
            self._drop(request)

    def _drop(self, request: Request) -> None:
        """Answer a refused request that is still arriving, and drop what comes of it for a moment."""
        self._body.drop()
        self._dropping, request.keep = True, False
        self._loop.call_later(_DISCARD_S, self._transport.close)
        self._take(request)

    def _refuse_rest(self, refused: RequestError) -> None:
        """Refuse what comes after a fault in the protocol: where the next request begins is not known."""
        if self._dropping or self._transport.is_closing():
            return
        request = self._request or Request("", "")
        request.refused, request.keep, self._request = refused, False, None
        self._body.drop()
        self._take(request)
        self._pause()


def _too_long(size: int) -> RequestError:
    return RequestError(
        Reason.HEADERS_TOO_LARGE, f"the headers have {size} bytes or more; at most {MAX_HEAD}"
    )


def _split(target: bytes) -> tuple[str, bytes]:
    """Return path, as it was sent, and query of a request's target."""
    if not target.startswith(b"/"):
        try:
            parsed = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            return "", b""
        path, query = parsed.path or b"", parsed.query or b""
    else:
        path, _, query = target.partition(b"?")
    return path.decode("latin-1"), query
