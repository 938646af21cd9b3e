"""What a run has people told beside failed steps and the gate's word: wrong labels."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from components.alerts import outbox
from components.alerts.sender import Sender
from components.project import layout
from components.project.sections import AlertsPolicy, AlertTarget
from data import atomic
from flows.retraining.alerts import RunAlerts

POLICY = AlertsPolicy(to={"team": AlertTarget(url="json://localhost")})
PLAN = SimpleNamespace(
    settings=SimpleNamespace(alerts=POLICY),
    run="a" * 32,
    folder=Path(".darkroom/runs/a"),
    stages=[SimpleNamespace(kind="labels", item="photos")],
)


@pytest.fixture
def alerts(tmp_path, monkeypatch) -> RunAlerts:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Sender, "start", lambda self: None)
    with RunAlerts(PLAN, Console(file=io.StringIO())) as alerts:
        monkeypatch.setattr(alerts, "_end", lambda: None)
        yield alerts


def found(success: bool) -> None:
    summary = {"likely": 7, "share": 0.07, "success": success}
    atomic.write_json(layout.label_errors("photos") / "summary.json", summary)


def owed() -> list[tuple[str, str]]:
    with outbox.opened() as box:
        return [(one.kind, one.title) for one in box.owed(POLICY.to)]


def test_a_failed_look_at_labels_is_its_verdict_or_where_it_has_none_a_failure(alerts):
    alerts.failed("labels@photos", "out of memory")
    found(success=False)
    alerts.failed("labels@photos", "7.0% of the labels are likely wrong")
    assert owed() == [
        ("failure", "labels@photos failed"),
        ("labels", "photos: 7 labels are likely wrong"),
    ]


def test_what_an_earlier_run_found_is_told_no_more(alerts):
    found(success=True)
    alerts._began += 1e6
    assert alerts._verdict("photos") is None
    alerts._began -= 1e6
    assert "7.0% of all.\n" in alerts._verdict("photos").text
