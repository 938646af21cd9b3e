"""Errors of requests as gRPC has them: code, details and trailing metadata."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from components.serving.request_error import Reason, RequestError

CODES = {
    Reason.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Reason.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.WRONG_METHOD: grpc.StatusCode.UNIMPLEMENTED,
    Reason.TOO_SLOW: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.ENCODED: grpc.StatusCode.UNIMPLEMENTED,
    Reason.HEADERS_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.FAILED: grpc.StatusCode.INTERNAL,
    Reason.BUSY: grpc.StatusCode.UNAVAILABLE,
    Reason.NO_ROOM: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""The code of each reason."""

_DETAILS = 2000  # bytes; encoded three times as many, and clients take 8,192 of all trailing metadata


def details(error: RequestError) -> str:
    """Return the message, as long as a status may be: it can quote what the client sent."""
    text = str(error)
    content = text.encode()
    return text if len(content) <= _DETAILS else content[:_DETAILS].decode(errors="ignore") + "..."


def trailing(error: RequestError) -> Iterator[tuple[str, str]]:
    """Yield the trailing metadata: when to try again in the form that gRPC's clients heed (gRFC A6)."""
    if error.reason is Reason.UNAUTHENTICATED:
        yield "www-authenticate", 'Bearer realm="darkroom"'
    if error.retry_after_s is not None:
        yield "grpc-retry-pushback-ms", f"{1000 * error.retry_after_s}"
