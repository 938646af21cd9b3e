"""``darkroom alerts``: sends what is owed, and says what waits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.registry import ledger
from components.registry.ledger import Entry
from data.errors import UserError
from flows import telling
from flows.cli.app import whole
from tests.components.alerts.receiver import Receiver
from tests.flows.cli import command


@pytest.fixture
def receiver(toy, sqlite_template, monkeypatch) -> Receiver:
    """A receiver that the toy project tells, with an embedded registry."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = toy / ".darkroom/mlflow/mlflow.db"
    store.parent.mkdir(parents=True)
    store.write_bytes(sqlite_template.read_bytes())
    receiver = Receiver()
    monkeypatch.setenv("HOOK", receiver.url)
    tell("{team: {url: '${HOOK}'}}")
    yield receiver
    receiver.stop()


def tell(to: str) -> None:
    with Path("params.yaml").open("a") as settings:
        settings.write(f"alerts: {{to: {to}}}\n")


def test_a_command_tells_what_it_recorded_and_what_could_not_be_sent_waits(receiver, capfd):
    with telling.people():
        ledger.record(Entry("rollback", "m", 1, "a" * 64, 2, by="ada", reasons=("flickers",)), "one", {})
    assert receiver.titles == ["Darkroom: m version 1 is champion again, in place of version 2"]
    assert receiver.messages[0]["message"].startswith("by ada\nflickers\n\nevent ")
    assert receiver.messages[0]["type"] == "warning"
    receiver.status = 503
    with pytest.MonkeyPatch.context() as hurry, pytest.raises(UserError):
        hurry.setattr(telling, "WAIT_S", 2.0)
        with telling.people():  # also of what a command did before it failed
            ledger.record(Entry("promotion", "m", 3, "b" * 64, 1), "two", {})
            raise UserError("later")
    assert "1 alert waits to be sent: darkroom alerts says why" in capfd.readouterr().err
    (waits,) = json.loads(command.call(whole(), "alerts", "--json", code=1))["waiting"]
    assert waits["title"] == "m version 3 became champion, in place of version 1" and "503" in waits["reason"]
    assert "team" in command.call(whole(), "alerts", code=1)
    receiver.status = 200
    assert command.call(whole(), "alerts", "--test") == "sent 2, waiting 0\n"
    assert receiver.titles[1:] == ["Darkroom: " + waits["title"], "Darkroom: a test"]


def test_where_nobody_is_to_be_told_it_says_how(toy):
    with pytest.raises(UserError, match=r"params.yaml: alerts: nobody is to be told. Add receivers"):
        command.call(whole(), "alerts")


def test_a_receiver_that_cannot_be_told_stops_no_command(toy, capfd, monkeypatch):
    tell("{team: {url: 'json://${GONE}', evnts: [failure]}}")
    with telling.people():
        done = True
    assert done
    told = capfd.readouterr().err
    assert told.startswith(
        "alerts: nobody can be told: params.yaml: alerts.to.team.evnts: unknown key. Did you mean"
    )
