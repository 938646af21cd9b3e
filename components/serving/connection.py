"""Uvicorn's HTTP protocol, with one write per response and with an end to requests that do not arrive.

Uvicorn writes the head of a response and its body one after the other, and each write is a system call and a packet.
For answers of some hundred bytes these two are a third of all the time that a request takes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoiningTransport:
    """A transport that writes two things at once, if the second one comes in the same turn of the event loop.

    All else is the real transport's.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Write ``data``, or hold it until the next write or the end of this turn."""
        if self._held:
            data, self._held = self._held + data, b""
            self._transport.write(data)
        else:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Write what is held, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            data, self._held = self._held, b""
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """One connection of a client.

    Attributes:
        arrival_s: seconds in which a request has to arrive whole, from its first byte; the first one from the start
            of the connection. Then the connection ends. Between two requests it may be idle for longer.
    """

    arrival_s = 30.0
    _arriving = True
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection."""
        super().connection_made(JoiningTransport(transport, self.loop))  # type: ignore[arg-type]
        self._late = self.loop.call_later(self.arrival_s, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the connection go."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on. What has not arrived whole by now is given its time; a small request never needs that."""
        super().data_received(data)
        if not self._arriving:
            self._arrived()
        elif self._late is None:
            self._late = self.loop.call_later(self.arrival_s, self.transport.close)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._arriving = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """End a request."""
        self._arriving = False
        super().on_message_complete()

    def _arrived(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
