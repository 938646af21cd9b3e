"""The head of a request, known again when a client sends the same bytes once more.

Who keeps a connection sends the same few lines before each body. What the parser said of them holds as long as they
are the same, byte by byte, and stand where a request begins; it need not be asked again.
"""

from __future__ import annotations

from components.serving.http.messages import Request

_END = b"\r\n\r\n"


class Head:
    """Target and headers of a request that came in one piece, with all of its body and nothing after it."""

    __slots__ = ("_content", "_request", "_size")

    def __init__(self, content: bytes, size: int, request: Request) -> None:
        self._content, self._size = content, size
        self._request = request.like(b"")

    @classmethod
    def of(cls, data: bytes, request: Request) -> Head | None:
        """Return the head of ``request``, which the parser read from ``data``; None where it cannot be known again.

        That is so where ``data`` is more or less than the request, or its body is in chunks, which are longer than
        what they hold; and where more is to be done than to answer it, such as to count a large body.
        """
        start = data.find(_END) + len(_END)
        if start + len(request.body) != len(data):
            return None
        if not request.keep or request.held or request.refused is not None or b"expect" in request.headers:
            return None
        return cls(data[:start], len(data), request)

    def again(self, data: bytes) -> Request | None:
        """Return the request that ``data`` is; None where its head is another, or it is not whole."""
        if len(data) != self._size or not data.startswith(self._content):
            return None
        return self._request.like(data[len(self._content) :])
