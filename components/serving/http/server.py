"""Takes connections on a listening socket until it is told to end, and then answers what has come.

Nothing that a client has sent is left unanswered, as far as that can be: who has an open connection may be about to
send a request. It has a moment to do so, is answered, and told that the connection ends with the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from dataclasses import replace

from components.serving import memory
from components.serving.http import descriptors
from components.serving.http.body import Budget
from components.serving.http.connection import Answers, Connection
from components.serving.http.listening import BACKLOG
from components.serving.settings import Settings

_KEEP_ALIVE_S = 65.0  # longer than proxies and client pools keep theirs: they are the ones to close
_CROWDED_S = 2.0  # where connections are too many, those on which nothing happens make room
_LOOK_S = 1.0
_LARGE = 32 << 20  # bytes of bodies; when as many are gone, their memory is given back to the system
_LINGER_S = 0.5
_TICK_S = 0.01

log = logging.getLogger("darkroom.serving")


class Server:
    """The connections of a worker."""

    def __init__(self, application: Answers, settings: Settings, budget: Budget) -> None:
        """Serve ``application``; ``budget`` holds the bodies of all connections."""
        self._most = descriptors.for_connections()
        # What is refused by a response needs a descriptor for it.
        room = min(settings.max_connections, max(1, self._most * 3 // 4))
        self._application, self._settings = application, replace(settings, max_connections=room)
        self._connections: set[Connection] = set()
        self._budget = budget
        self._listening: asyncio.Server | None = None
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Take no new connections, answer what has come, and end."""
        self._ending.set()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until :meth:`end`."""
        loop = asyncio.get_running_loop()
        look_s = min(_LOOK_S, self._settings.request_s / 4)
        while not self._ending.is_set():
            if self._listening is None and len(self._connections) < self._most:
                self._listening = await loop.create_server(
                    self._connection, sock=listener.dup(), backlog=BACKLOG
                )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), look_s)
            now = time.monotonic()
            crowded = len(self._connections) > self._settings.max_connections
            for connection in list(self._connections):
                connection.end_if_late(now, _CROWDED_S if crowded else _KEEP_ALIVE_S, crowded=crowded)
            if self._budget.fallen(_LARGE):
                loop.run_in_executor(None, memory.give_back)
        self._listen_no_more()
        listener.close()
        await self._drain()

    def _connection(self) -> Connection:
        if len(self._connections) + 1 >= self._most:  # the loop takes one connection at a time
            log.warning("no descriptor is left: connections wait", extra={"connections": self._most})
            asyncio.get_running_loop().call_soon(self._listen_no_more)
        return Connection(self._application, self._settings, self._connections, self._budget)

    def _listen_no_more(self) -> None:
        """Leave connections that come to the socket's queue, and to other workers."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    async def _drain(self) -> None:
        log.info("draining", extra={"connections": len(self._connections)})
        for connection in self._connections:
            connection.drain()
        await self._gone(_LINGER_S)
        for connection in list(self._connections):
            connection.close_if_idle()
        await self._gone(self._settings.grace_s)
        for connection in list(self._connections):
            connection.abort()

    async def _gone(self, within_s: float) -> None:
        """Wait until no connection is left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._connections:
                    await asyncio.sleep(_TICK_S)
