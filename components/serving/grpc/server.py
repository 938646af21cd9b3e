"""gRPC's server in a worker: listens beside the others on one port, and drains."""

from __future__ import annotations

import asyncio

import grpc

from components.serving.grpc import health
from components.serving.grpc.endpoint import Endpoint
from components.serving.grpc.methods import SERVICE, methods
from components.serving.service import Service
from data.errors import UserError

_IDENTITY = 1  # of a set of compression algorithms: none
_IDLE_MS = 65_000
_AGE_MS = 300_000


class GrpcServer:
    """Answers calls on the port of the settings, in the event loop that starts it."""

    def __init__(self, service: Service) -> None:
        """Prepare it; call it in the event loop's thread."""
        self._settings, self._ending = service.settings, asyncio.Event()
        self._server = grpc.aio.server(
            options=(
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", self._settings.max_body),
                ("grpc.max_send_message_length", -1),
                # Windows stay small until a message may arrive (arrivals.py): they do not grow with the line.
                ("grpc.http2.bdp_probe", 0),
                # Compressed ones are not taken: the limit of size would hold before they are large.
                ("grpc.compression_enabled_algorithms_bitset", _IDENTITY),
                ("grpc.server_handshake_timeout_ms", int(1e3 * self._settings.request_s)),
                ("grpc.max_connection_idle_ms", _IDLE_MS),
                # Clients keep a connection for good, and with it one worker: one that was started again would idle.
                ("grpc.max_connection_age_ms", _AGE_MS),
            ),
            maximum_concurrent_rpcs=self._settings.max_connections,
        )
        endpoint = Endpoint(service)
        services = {
            SERVICE: {method.name: endpoint.handler(method) for method in methods(service)},
            health.NAME: health.handlers(service, endpoint),
        }
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(name, handlers) for name, handlers in services.items()]
        )

    async def start(self) -> int:
        """Listen, and return the port.

        Raises:
            UserError: the address cannot be listened on.
        """
        host, port = self._settings.host, self._settings.grpc_port
        try:
            bound = self._server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        except RuntimeError:
            raise UserError(f"--host {host} --grpc-port {port}: cannot listen there.") from None
        await self._server.start()
        return bound

    def end(self) -> None:
        """Take no new calls, answer those that were begun, and end."""
        self._ending.set()

    async def serve(self) -> None:
        """Serve, once started, until :meth:`end`; what was begun has the grace time."""
        await self._ending.wait()
        await self._server.stop(self._settings.grace_s)
