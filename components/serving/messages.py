"""A request and a response, free of the HTTP server beneath them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import orjson

JSON = b"application/json"


class Refused(Exception):
    """What a client asked for cannot be: told with ``status`` and a message, in the protocol's form.

    Attributes:
        status: the HTTP status.
        headers: more headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = list(headers)


class Request:
    """A request whose body has arrived.

    Attributes:
        method: ``GET``, ``POST``, ...
        path: the path, percent-decoded.
        parameters: what the route's pattern found in the path.
        body: all of it.
        arrived: whether the body was read.
        id: names this request in logs and in the response's ``x-request-id``.
        model: ``(name, version)`` that answered, for metrics and logs; the handler sets it.
    """

    __slots__ = ("__dict__", "_scope", "arrived", "body", "id", "method", "model", "parameters", "path")

    def __init__(self, scope: dict[str, Any]) -> None:
        self._scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.parameters: dict[str, str] = {}
        self.body, self.arrived = b"", False
        self.id = ""
        self.model: tuple[str, str] | None = None

    def header(self, name: bytes) -> bytes | None:
        """Return the first header ``name`` (in lower case), or None."""
        for key, value in self._scope["headers"]:
            if key == name:
                return value
        return None

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's parameters; of one that is given twice the last.

        Raises:
            Refused: there are more than anybody needs (400).
        """
        text = self._scope["query_string"].decode("latin-1")
        try:
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=32))
        except ValueError:
            raise Refused(400, "the query has more than 32 parameters") from None

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Refused: it is none (400).
        """
        return parse_json(self.body)


class Response:
    """A response, whole.

    Attributes:
        status: the HTTP status.
        body: its bytes.
        headers: name (lower case) and value.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        body: bytes = b"",
        *,
        status: int = 200,
        content_type: bytes = JSON,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        self.status = status
        self.body = body
        self.headers = [(b"content-type", content_type), *headers]

    @classmethod
    def json(cls, value: Any, *, status: int = 200) -> Response:
        """Make a response of JSON."""
        return cls(orjson.dumps(value), status=status)


def parse_json(content: bytes | memoryview) -> Any:
    """Return the value of a JSON text.

    Raises:
        Refused: it is none; NaN and infinities are none, either (400).
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not valid JSON: {error}") from None
