"""``POST /webhooks/mlflow``: MLflow says that something changed in the registry, and it is looked at now.

No more than a hint: what it says is not used, and without it the registry is looked at all the same, only later.
MLflow signs each delivery (``mlflow/webhooks/delivery.py``): HMAC-SHA256 by the webhook's secret over
``<delivery id>.<timestamp>.<body>``, in base64 behind ``v1,``, as Standard Webhooks has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from pathlib import Path

from components.serving.http.messages import Request, Response
from components.serving.http.routing import Route
from components.serving.request_error import Reason, RequestError
from components.serving.service import Service

AGE_S = 300
"""Seconds by which a delivery's time may be off; an older one may be somebody's copy."""


def routes(service: Service) -> list[Route]:
    """Return the route that MLflow calls. It carries no token: its signature is what lets it in."""

    async def changed(request: Request) -> Response:
        file = service.settings.webhook_secret
        if not file:
            raise RequestError(
                Reason.NOT_FOUND, "no webhooks are taken here: darkroom serve --webhook-secret FILE"
            )
        secret = await service.aside(Path(file).read_bytes)
        if not is_signed(request, secret.strip(), time.time()):
            raise RequestError(Reason.UNAUTHENTICATED, "not signed by the webhook's secret, or not now")
        await service.aside(service.reconciler.hint)
        return Response.json({})

    return [Route("POST", "/webhooks/mlflow", changed, "open")]


def is_signed(request: Request, secret: bytes, now: float) -> bool:
    """Whether a request was signed with ``secret`` and not long before ``now``, in seconds since the epoch."""
    sent = request.header(b"x-mlflow-timestamp") or b""
    if not sent.isdigit() or len(sent) > 12 or abs(now - int(sent)) > AGE_S:
        return False
    delivery = request.header(b"x-mlflow-delivery-id") or b""
    digest = hmac.digest(secret, b".".join((delivery, sent, request.body)), hashlib.sha256)
    signature = b"v1," + base64.b64encode(digest)
    return hmac.compare_digest(signature, request.header(b"x-mlflow-signature") or b"")
