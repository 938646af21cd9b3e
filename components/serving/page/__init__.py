"""The page at ``/``: every champion with its card, and something to draw on. Plain files, and no outside address."""

from __future__ import annotations

from pathlib import Path

from components.serving.http.messages import Request, Response, head
from components.serving.http.routing import Route
from components.serving.request_error import Reason, RequestError
from components.serving.service import Service

_HERE = Path(__file__).parent
_SHEET = _HERE.parents[1] / "report_page" / "style.css"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}

# Nothing but the server's own files runs or is asked; pictures are also those that the page has made or was given.
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = [
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
]


def routes(service: Service) -> list[Route]:
    """Return the routes of the page; its files hold nothing that needs a token, what they ask for does."""
    files = {file.name: file.read_bytes() for file in _HERE.iterdir() if file.suffix in _TYPES}
    files["sheet.css"] = _SHEET.read_bytes()

    async def page(request: Request) -> Response:
        return _file("index.html", files["index.html"])

    async def part(request: Request) -> Response:
        name = request.parameters["file"]
        if name not in files:
            raise RequestError(Reason.NOT_FOUND, f"{request.path}: no such file")
        return _file(name, files[name])

    return [Route("GET", "/", page, "open"), Route("GET", "/page/{file}", part, "open")]


def _file(name: str, content: bytes) -> Response:
    return Response(content, head(_TYPES[Path(name).suffix], HEADERS))
