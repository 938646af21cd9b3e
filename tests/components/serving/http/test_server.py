"""More connections than there is room for: those are told, or wait, on which nothing happens make room."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack

import pytest
import uvloop

from components.serving.http import descriptors, server
from components.serving.http.body import Budget
from components.serving.http.listening import listen
from components.serving.http.messages import Request
from components.serving.http.server import Server
from components.serving.request_error import Reason, RequestError
from components.serving.settings import Settings
from tests.components.serving.http.test_connection import WHOLE, Echo

MOST = 40


class Full(Echo):
    def admit_vital(self, request: Request) -> None:
        raise RequestError(Reason.BUSY, "too many connections")


@pytest.fixture
def address(monkeypatch):
    """The address of a server that has descriptors for :data:`MOST` connections."""
    monkeypatch.setattr(descriptors, "for_connections", lambda: MOST)
    monkeypatch.setattr(server, "_CROWDED_S", 0.5)
    monkeypatch.setattr(server, "_LOOK_S", 0.1)
    listener, served = listen("127.0.0.1", 0), []

    async def serve() -> None:
        served.extend((asyncio.get_running_loop(), Server(Full(), Settings(), Budget(1 << 20))))
        await served[1].serve(listener)

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    host, port = listener.getsockname()
    thread.start()
    yield host, port
    served[0].call_soon_threadsafe(served[1].end)
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(OSError):
        socket.create_connection((host, port), timeout=1)


def test_connections_beyond_the_descriptors_are_told_or_wait(address, caplog):
    with ExitStack() as stack:
        asking = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(MOST + 15)]
        statuses = []
        for connection in asking:
            connection.sendall(WHOLE)
            connection.settimeout(0.3 if len(statuses) >= MOST else 5)
            try:
                statuses.append(connection.recv(12)[9:])
            except TimeoutError:
                statuses.append(b"")
        # Those that were refused are closed, and make room for as many of those that wait.
        assert statuses[:30] == [b"200"] * 30 and statuses[30:MOST] == [b"503"] * 10
        for connection in asking[:30]:
            connection.close()
        for number in range(MOST, MOST + 15):
            if not statuses[number]:
                asking[number].settimeout(5)
                statuses[number] = asking[number].recv(12)[9:]
        assert set(statuses[MOST:]) <= {b"200", b"503"}
    assert "no descriptor is left: connections wait" in caplog.text


def test_connections_on_which_nothing_happens_make_room(address):
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(MOST + 15)]
        began = time.monotonic()
        asking = stack.enter_context(socket.create_connection(address, timeout=5))
        asking.sendall(WHOLE)
        assert asking.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 503") and time.monotonic() - began < 3
        assert b"a silent one makes room" in silent[0].recv(4096)


def test_the_limit_of_this_process_is_heeded(monkeypatch):
    limits, asked = [(1024, 4096)], []
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(descriptors.resource, "setrlimit", lambda _, limit: asked.append(limit))
    descriptors.raise_limit()
    assert asked == [(4096, 4096)] and descriptors.for_connections() == 1024 - descriptors.RESERVED
    limits.append((descriptors.resource.RLIM_INFINITY,) * 2)
    assert descriptors.for_connections() > 1 << 20
