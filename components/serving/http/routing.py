"""Which handler answers which method and path, and who may ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote

from components.serving.http.errors import WrongMethod
from components.serving.http.messages import Handler
from components.serving.request_error import Reason, RequestError

_KEPT = 1024

Access = Literal["open", "read", "admin"]
"""Who may ask: everybody; a token of either scope; a token of admin scope."""


@dataclass(frozen=True)
class Route:
    """One entry of the table.

    Attributes:
        method: ``GET``, ``POST`` or ``DELETE``.
        pattern: a path such as ``/v2/models/{model}/infer``: ``{model}`` takes one segment, percent-decoded.
        handler: what answers: ``async def``, or a plain function that returns :class:`Later` where time counts.
        access: who may ask, where the server has tokens.
        vital: whether it is answered also where there are too many connections: probes, and what operators need.
    """

    method: str
    pattern: str
    handler: Handler
    access: Access = "read"
    vital: bool = False


class Router:
    """Finds a route among those of as many segments; one with fewer ``{}`` goes before one with more.

    Attributes:
        find: ``(method, path) -> (route, parameters)``; the last answers are kept, so do not change them. Raises
            :class:`RequestError` where there is no such path (404), or none with this method (405).
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_length: dict[int, list[tuple[Route, list[str]]]] = {}
        self.find = lru_cache(_KEPT)(self._find)
        for route in sorted(routes, key=lambda route: route.pattern.count("{")):
            segments = route.pattern.split("/")
            self._by_length.setdefault(len(segments), []).append((route, segments))

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route and what its pattern took from the path; ``HEAD`` is answered as ``GET``."""
        asked = [unquote(segment) for segment in path.split("/")]
        method = "GET" if method == "HEAD" else method
        allowed = []
        for route, segments in self._by_length.get(len(asked), ()):
            taken = _match(segments, asked)
            if taken is not None:
                if route.method == method:
                    return route, taken
                allowed.append(route.method)
        if allowed:
            raise WrongMethod(path, allowed)
        raise RequestError(Reason.NOT_FOUND, f"{path}: no such path; GET /v2 says what there is")


def _match(pattern: list[str], asked: list[str]) -> dict[str, str] | None:
    taken = {}
    for segment, value in zip(pattern, asked, strict=True):
        if segment.startswith("{") and value:
            taken[segment[1:-1]] = value
        elif segment != value:
            return None
    return taken
