"""A request and a response, free of the HTTP server beneath them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import parse_qsl

import orjson

from components.serving.request_error import Reason, RequestError

JSON = b"application/json"


class Request:
    """A request.

    Attributes:
        method: ``GET``, ``POST``, ...
        path: the path as it was sent: a ``%2F`` in it parts no segments.
        headers: by name in lower case; of one that is given twice the first.
        keep: whether the connection may be kept for another request.
        handler: what answers it, once it is admitted.
        pattern: the path's pattern in the table of routes; empty where the path is in none.
        parameters: what the pattern found in the path, percent-decoded.
        refused: why it is not answered, where that is known before its body was read.
        body: all of it.
        held: bytes that the budget of bodies holds for it.
        id: names this request in logs and in the response's ``x-request-id``.
        model: ``(name, version)`` that answered, for metrics and logs; the handler sets it.
    """

    __slots__ = (
        "__dict__",
        "_query",
        "body",
        "handler",
        "headers",
        "held",
        "id",
        "keep",
        "method",
        "model",
        "parameters",
        "path",
        "pattern",
        "refused",
    )

    def __init__(
        self, method: str, path: str, query: bytes = b"", headers: Mapping[bytes, bytes] | None = None
    ) -> None:
        self.method, self.path, self._query = method, path, query
        self.headers: Mapping[bytes, bytes] = {} if headers is None else headers
        self.keep = True
        self.handler: Handler | None = None
        self.pattern = ""
        self.parameters: dict[str, str] = {}
        self.refused: RequestError | None = None
        self.body, self.held = b"", 0
        self.id = ""
        self.model: tuple[str, str] | None = None

    def like(self, body: bytes) -> Request:
        """Return a request with the same target and headers, and with ``body``."""
        request = Request(self.method, self.path, self._query, self.headers)
        request.body = body
        return request

    def header(self, name: bytes) -> bytes | None:
        """Return the header ``name`` (in lower case), or None."""
        return self.headers.get(name)

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's parameters; of one that is given twice the last.

        Raises:
            RequestError: there are more than anybody needs (400).
        """
        text = self._query.decode("latin-1")
        try:
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=32))
        except ValueError:
            raise RequestError(Reason.INVALID, "the query has more than 32 parameters") from None

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            RequestError: it is none (400).
        """
        return parse_json(self.body)


def head(content_type: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Return the header lines of a response: of its content, and ``headers``, names (lower case) and values."""
    return b"".join([b"%b: %b\r\n" % header for header in ((b"content-type", content_type), *headers)])


_JSON_HEAD = head(JSON)


class Response:
    """A response, whole.

    Attributes:
        status: the HTTP status.
        body: its bytes.
        head: its header lines, as :func:`head` writes them.
    """

    __slots__ = ("body", "head", "status")

    def __init__(self, body: bytes = b"", head: bytes = _JSON_HEAD, *, status: int = 200) -> None:
        self.status, self.body, self.head = status, body, head

    @classmethod
    def json(cls, value: Any, *, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> Response:
        """Make a response of JSON."""
        return cls(orjson.dumps(value), head(JSON, headers), status=status)


class Pending(Protocol):
    """What a response waits for: an :class:`asyncio.Task`, or a job in a queue."""

    def add_done_callback(self, callback: Callable[[Any], None], /) -> Any:
        """Call ``callback`` with this once it is done."""

    def cancel(self) -> Any:
        """Let it go: nobody waits for it any more."""


@dataclass(slots=True)
class Later:
    """A response that is made once something is done, without a task that waits for it.

    Attributes:
        pending: what it waits for; it is cancelled when the client leaves.
        finish: makes the response then; may raise :class:`RequestError`.
    """

    pending: Pending
    finish: Callable[[], Response]


Handler = Callable[[Request], Awaitable[Response] | Later]
"""Answers a request: ``async def``, or a plain function that returns :class:`Later` where time counts."""


def parse_json(content: bytes | memoryview) -> Any:
    """Return the value of a JSON text.

    Raises:
        RequestError: it is none; NaN and infinities are none, either (400).
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise RequestError(Reason.INVALID, f"the body is not valid JSON: {error}") from None
