"""The name of a request in logs and answers: the client's own where it gave one, else one that is made."""

from __future__ import annotations

import itertools
import secrets

_LONGEST = 128


class RequestIds:
    """Names requests; those that it makes are unlike any other's."""

    def __init__(self) -> None:
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    def of(self, given: bytes | None) -> str:
        """Return the ``x-request-id`` that was given, if it can stand in a header and a log, or a new one."""
        if given is not None and len(given) <= _LONGEST and given.isascii() and given.decode().isprintable():
            return given.decode()
        return f"{self._prefix}-{next(self._numbers):x}"
