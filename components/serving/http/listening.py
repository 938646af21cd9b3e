"""The sockets of the server's addresses."""

from __future__ import annotations

import errno
import socket
import time

from data.errors import UserError

BACKLOG = 1024
_PATIENCE_S = 3.0


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises:
        UserError: the address cannot be listened on.
    """
    return _bound(host, port, "--port", listening=True)


def hold(host: str, port: int) -> socket.socket:
    """Return a socket that has an address and does not listen; port 0 takes a free one.

    Workers that listen there each by itself (``SO_REUSEPORT``) can, also again and again; a server that listens there
    already is seen here, where they would share with it unseen.

    Raises:
        UserError: the address cannot be listened on.
    """
    return _bound(host, port, "--grpc-port", listening=False)


def _bound(host: str, port: int, option: str, *, listening: bool) -> socket.socket:
    """Return a socket at an address that ``option`` asks for.

    One that is still in use is tried for a moment: the workers of a server that was killed are about to end.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
            if listening:
                bound.listen(BACKLOG)
            return bound
        except OSError as error:
            bound.close()
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise UserError(
                    f"--host {host} {option} {port}: cannot listen there: {error.strerror}."
                ) from None
        time.sleep(0.05)
