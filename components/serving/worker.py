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
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from components.serving import logs
from components.serving.application import Application
from components.serving.connection import Connection
from components.serving.listening import BACKLOG, listen
from components.serving.service import Service
from components.serving.settings import Settings
from data.errors import UserError

if TYPE_CHECKING:
    from components.serving.grpc.server import GrpcServer

_KEEP_ALIVE_S = 65  # longer than proxies and client pools keep theirs: they are the ones to close
_LINGER_S = 0.5

log = logging.getLogger("darkroom.serving")


class Server(uvicorn.Server):
    """Uvicorn's server, which drains: nothing that a client has sent is left unanswered."""

    def __init__(self, config: uvicorn.Config, service: Service, grpc: GrpcServer | None) -> None:
        super().__init__(config)
        self._service, self._grpc = service, grpc

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """End well on a signal, and do not raise it again afterwards."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        yield

    def end(self) -> None:
        """Take no new connections, answer what has come, and end."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain.

        Clients with an open connection may be about to send a request. They get a moment to do so, are
        answered, and told that the connection ends with the answer.
        """
        self._service.draining = True
        calls = asyncio.create_task(self._grpc.stop()) if self._grpc else None
        for server in self.servers:
            server.close()
        log.info("draining", extra={"connections": len(self.server_state.connections)})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while self.server_state.connections:
                    await asyncio.sleep(0.01)
        await super().shutdown(sockets)
        if calls:
            await calls


async def serve(settings: Settings, listener: socket.socket, number: int) -> None:
    """Serve on ``listener`` until the end, as worker ``number`` of the server."""
    service = Service(settings, number)

    class Timed(Connection):
        arrival_s = settings.request_s

    config = uvicorn.Config(
        Application(service),
        http=Timed,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=settings.grace_s,
        backlog=BACKLOG,
    )
    grpc = _grpc(service)
    server = Server(config, service, grpc)
    announcing = asyncio.create_task(_announce(service, listener, grpc))
    announcing.add_done_callback(
        lambda done: server.end() if not done.cancelled() and done.exception() else None
    )
    tasks = [asyncio.create_task(work) for work in (service.following.run(), service.share())]
    _end_with_parent(server)
    await server.serve([listener])
    for task in (announcing, *tasks):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await announcing  # raises what kept it from listening
    log.info("ended")


def _grpc(service: Service) -> GrpcServer | None:
    """Return the server of gRPC, where the settings want one: nothing of it is imported otherwise."""
    if service.settings.grpc_port is None:
        return None
    from components.serving.grpc.server import GrpcServer

    return GrpcServer(service)


async def _announce(service: Service, listener: socket.socket, grpc: GrpcServer | None) -> None:
    """Say on standard output when all models are served; gRPC is listened for from then on."""
    while not service.following.settled:
        await asyncio.sleep(0.01)
    gc.collect()
    gc.freeze()  # what was loaded stays: the collector need not look at it again
    host, port = listener.getsockname()[:2]
    told = {"host": host, "port": port, "models": len(service.repository.served())}
    if grpc:
        told["grpc_port"] = await grpc.start()
    print(json.dumps(told), flush=True)


def _end_with_parent(server: Server) -> None:
    """End when standard input does, which is how the death of whoever started this shows."""

    def closed() -> None:
        if not os.read(0, 1024):
            asyncio.get_running_loop().remove_reader(0)
            server.end()

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
