"""A worker: answers requests on a listening socket until it is told to end, and then answers what it has taken on.

    python -m components.serving.worker SETTINGS [--socket FD] [--number N]

``SETTINGS`` is JSON (:class:`~components.serving.settings.Settings`). Without a socket it listens by itself;
either way it prints a line of JSON with the port once it answers. It ends on SIGTERM, and when its standard
input does: whoever started it holds the other end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvloop

from components.serving.application import Application
from components.serving.http.descriptors import raise_limit
from components.serving.http.listening import listen
from components.serving.http.server import Server
from components.serving.service import Service
from components.serving.settings import Settings
from components.serving.telemetry import logs
from data.errors import UserError

if TYPE_CHECKING:
    from components.serving.grpc.server import GrpcServer

_PATIENCE_S = 5.0
_TICK_S = 0.01

log = logging.getLogger("darkroom.serving")


async def serve(settings: Settings, listener: socket.socket, number: int) -> None:
    """Serve on ``listener`` until the end, as worker ``number`` of the server."""
    service = Service(settings, number)
    server = Server(Application(service), settings, service.budget)
    grpc = _grpc(service)

    def end() -> None:
        service.draining = True
        server.end()
        if grpc:
            grpc.end()

    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, end)
    _end_with_parent(end)
    works = (service.reconciler.run(), service.share(), service.predictions.run())
    tasks = [asyncio.create_task(work) for work in works]
    await _settled(service)
    host, port = listener.getsockname()[:2]
    told = {"host": host, "port": port} | ({"grpc_port": await grpc.start()} if grpc else {})
    tasks.append(asyncio.create_task(_announce(service, told)))
    await asyncio.gather(server.serve(listener), *([grpc.serve()] if grpc else []))
    for task in tasks:
        task.cancel()
    await service.predictions.end()
    log.info("ended")


def _grpc(service: Service) -> GrpcServer | None:
    """Return the server of gRPC, where the settings want one: nothing of it is imported otherwise."""
    if service.settings.grpc_port is None:
        return None
    from components.serving.grpc.server import GrpcServer

    return GrpcServer(service)


async def _settled(service: Service) -> None:
    """Wait until all models are served, for a moment: connections that come meanwhile wait in the socket.

    So a worker that died and is started again refuses nobody. One whose models take longer answers that they do.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            while not service.reconciler.settled:
                await asyncio.sleep(_TICK_S)


async def _announce(service: Service, told: dict[str, Any]) -> None:
    """Say on standard output when all models are served, and ``told``."""
    while not service.reconciler.settled:
        await asyncio.sleep(_TICK_S)
    gc.collect()
    gc.freeze()  # what was loaded stays: the collector need not look at it again
    print(json.dumps(told | {"models": len(service.repository.served())}), flush=True)


def _end_with_parent(end: Callable[[], None]) -> None:
    """End when standard input does, which is how the death of whoever started this shows."""

    def closed() -> None:
        if not os.read(0, 1024):
            asyncio.get_running_loop().remove_reader(0)
            end()

    with contextlib.suppress(PermissionError, OSError):  # a file or /dev/null, which never tell
        asyncio.get_running_loop().add_reader(0, closed)


def main() -> None:
    """Run a worker."""
    parser = argparse.ArgumentParser(prog="python -m components.serving.worker")
    parser.add_argument("settings")
    parser.add_argument("--socket", type=int)
    parser.add_argument("--number", type=int, default=0)
    arguments = parser.parse_args()
    logs.start(f"worker-{os.getpid()}")
    try:
        raise_limit()
        settings = Settings.from_json(json.loads(arguments.settings))
        if arguments.socket is None:
            listener = listen(settings.host, settings.port)
        else:
            listener = socket.socket(fileno=arguments.socket)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, listener, arguments.number))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
