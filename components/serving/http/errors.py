"""Errors of requests as HTTP has them: status, headers, and a body in the protocol's form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from components.serving.http.messages import Response
from components.serving.request_error import Reason, RequestError

STATUS = {
    Reason.INVALID: 400,
    Reason.UNAUTHENTICATED: 401,
    Reason.FORBIDDEN: 403,
    Reason.NOT_FOUND: 404,
    Reason.WRONG_METHOD: 405,
    Reason.TOO_SLOW: 408,
    Reason.TOO_LARGE: 413,
    Reason.ENCODED: 415,
    Reason.HEADERS_TOO_LARGE: 431,
    Reason.FAILED: 500,
    Reason.BUSY: 503,
    Reason.NO_ROOM: 503,
}
"""The status of each reason."""


class WrongMethod(RequestError):
    """A path that answers other methods.

    Attributes:
        allowed: the methods that it answers.
    """

    def __init__(self, path: str, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(Reason.WRONG_METHOD, f"{path}: answers {self.allowed} only")


def error_response(error: RequestError) -> Response:
    """Return the response to a request that is not answered."""
    return Response.json({"error": str(error)}, status=STATUS[error.reason], headers=_headers(error))


def _headers(error: RequestError) -> Iterator[tuple[bytes, bytes]]:
    if error.reason is Reason.UNAUTHENTICATED:
        yield b"www-authenticate", b'Bearer realm="darkroom"'
    if isinstance(error, WrongMethod):
        yield b"allow", error.allowed.encode()
    if error.retry_after_s is not None:
        yield b"retry-after", str(error.retry_after_s).encode()
