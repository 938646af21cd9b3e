"""Why a request is not answered, in words that REST and gRPC share.

Modules that serve both raise these. What a reason is called on the wire is known at the edges alone:
``http/errors.py`` has its status, ``grpc/errors.py`` its code.
"""

from __future__ import annotations

from enum import Enum, auto


class Reason(Enum):
    """Why a request is not answered."""

    INVALID = auto()
    """It is not of the protocol's form, or does not fit the model."""
    UNAUTHENTICATED = auto()
    """It has no valid token."""
    FORBIDDEN = auto()
    """Its token, or the place that it comes from, does not allow it."""
    NOT_FOUND = auto()
    """There is no such path, model, version or file."""
    WRONG_METHOD = auto()
    """The path is there, and takes other methods."""
    TOO_SLOW = auto()
    """It did not arrive whole in time."""
    TOO_LARGE = auto()
    """It is larger than a limit allows."""
    HEADERS_TOO_LARGE = auto()
    """Its headers are larger than a limit allows."""
    ENCODED = auto()
    """Its body is encoded in a way that is not read."""
    FAILED = auto()
    """The server, or the model, failed."""
    BUSY = auto()
    """The server cannot answer now; a later try may succeed."""
    NO_ROOM = auto()
    """Requests hold all memory that they may; a later try may succeed."""


class RequestError(Exception):
    """A request that is not answered; the message is for the client.

    Attributes:
        reason: why.
        retry_after_s: seconds after which another try makes sense; None where nothing is known of it.
    """

    def __init__(self, reason: Reason, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.reason, self.retry_after_s = reason, retry_after_s


def too_slow(limit_s: float) -> RequestError:
    """Return the error of a request that took longer than ``limit_s`` seconds to arrive."""
    return RequestError(Reason.TOO_SLOW, f"the request did not arrive whole within {limit_s:g} s")
