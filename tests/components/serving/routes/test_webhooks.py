"""MLflow's webhooks: signed ones make the registry be looked at, and nothing else does anything."""

from __future__ import annotations

import time

import pytest
from mlflow.entities.webhook import Webhook, WebhookAction, WebhookEntity, WebhookEvent
from mlflow.webhooks import delivery

from components.registry import versions
from components.serving.http.messages import Request
from components.serving.rollout.state import ControlsFile
from components.serving.routes import webhooks
from data.errors import UserError
from flows.cli.serve import serve
from tests.components.serving import bundles
from tests.components.serving.server import Server
from tests.components.serving.shop import until, version_of

SECRET = "5ec4e7"
EVENT = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)


@pytest.fixture
def secret(tmp_path, monkeypatch) -> str:
    """The secret's file; MLflow sends to this machine."""
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    file = tmp_path / "webhook.secret"
    file.write_text(f"{SECRET}\n")
    return str(file)


def sent(port: int, secret: str | None) -> int | None:
    """Let MLflow deliver an event; return the status of the answer."""
    url = f"http://127.0.0.1:{port}/webhooks/mlflow"
    return delivery.test_webhook(Webhook("1", "w", url, [EVENT], 0, 0, secret=secret)).response_status


def test_a_promotion_is_seen_at_once(shop, secret):
    with Server(shop, "--poll", "600", "--webhook-secret", secret) as server:
        client = server.client()
        assert version_of(client) == "1"
        versions.point("m", "champion", 2)
        for wrong in (None, "another"):
            assert sent(server.port, wrong) == 401
        assert version_of(client) == "1"
        assert sent(server.port, SECRET) == 200
        until(lambda: version_of(client) == "2", 10)


def test_none_are_taken_without_a_secret(tmp_path, secret):
    bundles.write(tmp_path / "m", "classification")
    with Server(tmp_path, worker={"bundles": {"m": str(tmp_path / "m")}}) as server:
        assert sent(server.port, SECRET) == 404


@pytest.mark.parametrize(
    ("change", "age", "good"),
    [
        ({}, 0, True),
        ({}, 299, True),
        ({}, -299, True),
        ({}, 301, False),
        ({}, -301, False),
        ({b"x-mlflow-delivery-id": b"2"}, 0, False),
        ({b"x-mlflow-timestamp": b"soon"}, 0, False),
        ({b"x-mlflow-timestamp": b"9" * 40}, 0, False),
        ({b"x-mlflow-signature": b"v1,"}, 0, False),
        ({b"x-mlflow-signature": "v1,ä".encode()}, 0, False),
    ],
)
def test_signatures(change, age, good):
    now = time.time()
    stamp = str(int(now))
    signature = delivery._generate_hmac_signature(SECRET, "1", stamp, "{}")
    headers = {
        b"x-mlflow-delivery-id": b"1",
        b"x-mlflow-timestamp": stamp.encode(),
        b"x-mlflow-signature": signature.encode(),
    }
    request = Request("POST", "/webhooks/mlflow", headers=headers | change)
    request.body = b"{}"
    assert webhooks.is_signed(request, SECRET.encode(), int(now) + age) is good
    assert not webhooks.is_signed(Request("POST", "/webhooks/mlflow"), SECRET.encode(), now)


def test_a_hint_changes_nothing_but_the_time(tmp_path):
    controls = ControlsFile(tmp_path / "serving")
    controls.hint()
    assert controls.read().unloaded == () and controls.mark() != (0, 0)
    controls.ask("m", unloaded=True)
    before, mark = controls.read(), controls.mark()
    controls.hint()
    assert controls.read() == before and controls.mark() != mark


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_secret_that_is_none_is_told(tmp_path, content):
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=r"--webhook-secret .*: no file there, or an empty one"):
        serve(webhook_secret=str(file))
