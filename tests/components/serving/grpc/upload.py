"""A message of gRPC that is sent but for its last byte, by HTTP/2's own frames: the library sends only whole ones."""

from __future__ import annotations

import socket
import time

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived, StreamReset, TrailersReceived

from components.serving.grpc.methods import SERVICE

_STREAM = 1


class Upload:
    """A call whose message never ends.

    Attributes:
        sent: bytes of the message that the server has let come.
        status: gRPC's, once the server has refused; None before.
    """

    def __init__(self, port: int, size: int) -> None:
        """Begin a message of ``size`` bytes to ``ModelInfer``."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._h2.initiate_connection()
        headers = {":method": "POST", ":scheme": "http", ":path": f"/{SERVICE}/ModelInfer", ":authority": "x"}
        headers |= {"te": "trailers", "content-type": "application/grpc"}
        self._h2.send_headers(_STREAM, list(headers.items()))
        self._message = memoryview(b"\0" + size.to_bytes(4) + bytes(size - 1))
        self.sent, self.status = 0, None

    def push(self, seconds: float) -> None:
        """Send what the server lets come, until it has taken nothing for ``seconds``."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.status is None:
            frame = min(self._h2.local_flow_control_window(_STREAM), self._h2.max_outbound_frame_size)
            piece = bytes(self._message[self.sent : self.sent + frame])
            if piece:
                self._h2.send_data(_STREAM, piece)
                self.sent += len(piece)
                until = time.monotonic() + seconds
            try:
                self._socket.sendall(self._h2.data_to_send())
            except ConnectionError:  # it was refused while it sent
                piece = b""
            if not piece:
                self._receive()

    def _receive(self) -> None:
        self._socket.settimeout(0.02)
        try:
            content = self._socket.recv(1 << 16)
        except TimeoutError:
            return
        except ConnectionError:
            content = b""
        if not content:
            self.status = self.status or "gone"
        for event in self._h2.receive_data(content):
            if isinstance(event, ResponseReceived | TrailersReceived):
                self.status = dict(event.headers).get("grpc-status", self.status)
            if isinstance(event, StreamReset) and self.status is None:
                self.status = "reset"

    def close(self) -> None:
        self._socket.close()
