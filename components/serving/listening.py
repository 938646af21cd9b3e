"""The listening socket."""

from __future__ import annotations

import errno
import socket
import time

from data.errors import UserError

BACKLOG = 1024
_PATIENCE_S = 3.0


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    An address that is still in use is tried for a moment: the workers of a server that was killed are about to end.

    Raises:
        UserError: the address cannot be had.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
            return listener
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise UserError(
                    f"--host {host} --port {port}: cannot listen there: {error.strerror}."
                ) from None
        time.sleep(0.05)
