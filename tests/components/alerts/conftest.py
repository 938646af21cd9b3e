"""A receiver, and a project that tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from components.project import params
from components.project.sections import AlertsPolicy
from tests.components.alerts.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def policy(receiver, tmp_path, monkeypatch) -> AlertsPolicy:
    """The project in the working directory tells ``receiver`` of everything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOK", receiver.url)
    alerts = {"to": {"team": {"url": "${HOOK}"}}}
    Path("params.yaml").write_text(yaml.safe_dump({"datasets": {}, "alerts": alerts}))
    return params.load_alerts()
