"""A real HTTP receiver of alerts, that can be down, refuse, or never answer."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Listens on a port of its own, and keeps what came.

    Attributes:
        messages: bodies of the requests that it took, in order.
        keys: their ``Idempotency-Key``.
        status: what it answers with.
    """

    def __init__(self) -> None:
        self.messages: list[dict] = []
        self.keys: list[str] = []
        self.status = 200
        self.hangs = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/alerts"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def start(self) -> None:
        """Come up, or back on the same port."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.hangs.is_set():
                    threading.Event().wait()
                if receiver.status == 200:
                    receiver.messages.append(body)
                    receiver.keys.append(self.headers["Idempotency-Key"])
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Go down: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
