"""``/openapi.json``: what the server answers, as a document for programs. It is kept by hand in ``openapi.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import yaml

from components.serving.http.messages import Request, Response
from components.serving.http.routing import Route
from components.serving.service import Service

_FILE = Path(__file__).with_name("openapi.yaml")


def document() -> dict[str, Any]:
    """Return the document."""
    return yaml.load(_FILE.read_text(), yaml.CSafeLoader)


def routes(service: Service) -> list[Route]:
    """Return the route of the document; it tells nothing of the models, so it needs no token."""
    content = orjson.dumps(document())

    async def openapi(request: Request) -> Response:
        return Response(content)

    return [Route("GET", "/openapi.json", openapi, "open")]
