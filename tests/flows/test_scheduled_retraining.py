"""``darkroom schedule``: retrains when it is time, never twice at once, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from components.alerts import outbox
from data.errors import UserError
from flows.cli import app
from tests.flows import command_server, prefect_record
from tests.flows.cli import command
from tests.flows.pipeline import ROOT, Pipeline, kill_9, steps

OFTEN = "* * * * * */5"
"""Every five seconds: cron's sixth field."""


STARTED: list[subprocess.Popen] = []


@pytest.fixture
def pipeline(pipeline, prefect_database) -> Iterator[Pipeline]:
    """The toy pipeline; what was started in it is killed at the end, also when a test fails."""
    yield pipeline
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()


def plan(folder: Path, **schedules: dict) -> None:
    params = yaml.safe_load((folder / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"schedules": schedules}))


def start(pipeline: Pipeline, *arguments: str, log: str = "schedule.log") -> subprocess.Popen:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DARKROOM_TEST": str(pipeline.folder),
        # Prefect looks for what is due every ten seconds, and plans every five.
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
    }
    with (pipeline.folder / log).open("w") as written:
        process = subprocess.Popen(
            command_server.command("schedule", *arguments),
            cwd=pipeline.folder,
            env=environment,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    STARTED.append(process)
    return process


def told(pipeline: Pipeline) -> str:
    return (pipeline.folder / "schedule.log").read_text()


def wait_for(what, process: subprocess.Popen, pipeline: Pipeline) -> None:
    give_up = time.monotonic() + 90
    while not what():
        assert process.poll() is None, told(pipeline)
        assert time.monotonic() < give_up, told(pipeline)
        time.sleep(0.1)


def runs(pipeline: Pipeline, flow: str = "scheduled-retraining") -> list[str]:
    """Return the state of each run of a flow that Prefect knows; those that are still to come are left out."""
    url = (pipeline.folder / ".darkroom/prefect.url").read_text()
    try:
        known = prefect_record.runs(url, flows={"name": {"any_": [flow]}})
        return [run["state_type"] for run in known if run["state_type"] != "SCHEDULED"]
    except urllib.error.URLError:  # it is about to start
        return []


def owed() -> list[dict]:
    """Return the alerts that wait for a receiver that is never there."""
    return json.loads(command.call(app.whole(), "alerts", "--json", code=1))["waiting"]


def test_retrains_in_time_and_never_twice_at_once(pipeline):
    plan(pipeline.folder, often={"cron": OFTEN, "models": ["one"]})
    with (pipeline.folder / "params.yaml").open("a") as settings:
        settings.write("alerts: {late: 0.001, to: {team: {url: 'json://127.0.0.1:1', events: [schedule]}}}\n")
    held = pipeline.hold("train@one")
    process = start(pipeline)
    pipeline.wait_for("train@one", process)
    # What its time comes to meanwhile is let pass.
    wait_for(lambda: "CANCELLED" in runs(pipeline), process, pipeline)
    assert runs(pipeline).count("RUNNING") == 1

    other = start(pipeline, log="other.log")
    assert other.wait(30) == 2
    assert "another `darkroom schedule` goes on" in (pipeline.folder / "other.log").read_text()

    # Killed, it leaves no process behind; what it was at is told as crashed by the next one, which does it again.
    kill_9(process)
    assert pipeline.wait_until_quiet() == []
    # Nobody retrains now, and that is told.
    time.sleep(1)
    assert (
        [one["title"] for one in owed()] == ["schedule often did not run"] == [one["title"] for one in owed()]
    )
    held.unlink()
    process = start(pipeline)
    wait_for(lambda: "COMPLETED" in runs(pipeline), process, pipeline)
    assert sorted(pipeline.done()) == sorted(steps("one"))
    assert runs(pipeline).count("CRASHED") == 1

    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, told(pipeline)
    assert pipeline.wait_until_quiet() == []


@pytest.mark.slow
def test_a_run_by_hand_is_recorded_beside_those_in_time(pipeline):
    plan(pipeline.folder, nightly={"cron": "0 3 * * *"})
    process = start(pipeline)
    wait_for((pipeline.folder / ".darkroom/prefect.url").exists, process, pipeline)
    by_hand = pipeline.run("two")
    assert by_hand.returncode == 0, by_hand.stderr
    assert runs(pipeline, "retrain") == ["COMPLETED"]
    # Ended while a run goes on, the server stays until that has ended.
    pipeline.hold("train@one")
    goes_on = pipeline.start("one")
    pipeline.wait_for("train@one", goes_on)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    goes_on.send_signal(signal.SIGINT)
    goes_on.wait(60)
    assert process.wait(60) == 0, told(pipeline)
    assert pipeline.wait_until_quiet() == []
    assert not (pipeline.folder / ".darkroom/prefect.url").exists()


def test_a_failed_step_fails_the_scheduled_run(monkeypatch):
    from flows import scheduled_retraining

    asked = []
    monkeypatch.setattr(
        scheduled_retraining.run,
        "run",
        lambda models, **told: asked.append((models, told["wait"])) or 1,
    )
    with pytest.raises(scheduled_retraining.ScheduledRunFailed):
        scheduled_retraining.scheduled_retraining.fn(["one"])
    assert asked == [(["one"], True)]


@pytest.mark.parametrize(
    ("schedules", "message"),
    [
        ({}, "params.yaml: no schedules. Add some, such as:"),
        ({"often": {"cron": "0 3 * *"}}, "params.yaml: schedules.often.cron: Invalid cron string"),
        ({"yearly": {"cron": "0 3 30 2 *"}}, "params.yaml: schedules.yearly.cron: '0 3 30 2 *' never comes"),
        ({"often": {"cron": "0 3 * * *", "timezone": "Europe/Berln"}}, "Did you mean 'Europe/Berlin'?"),
        ({"often": {"cron": "0 3 * * *", "models": ["oen"]}}, "schedules.often.models: no model 'oen'"),
        ({"often": {"corn": "0 3 * * *"}}, "schedules.often.corn: unknown key. Did you mean 'cron'?"),
    ],
)
def test_mistakes_are_told(pipeline, schedules, message):
    plan(pipeline.folder, **schedules)
    process = start(pipeline)
    assert process.wait(60) == 2
    assert message in told(pipeline)


def test_an_unknown_schedule_is_told(pipeline):
    plan(pipeline.folder, nightly={"cron": "0 3 * * *"})
    assert start(pipeline, "nihgtly").wait(60) == 2
    assert "schedules: there is no 'nihgtly'. Did you mean 'nightly'?" in told(pipeline)


def test_a_scheduled_run_that_a_mistake_keeps_from_beginning_is_told(toy, monkeypatch):
    from flows import schedule_watch, telling

    monkeypatch.setattr(telling, "WAIT_S", 0.0)
    with Path("params.yaml").open("a") as settings:
        settings.write("alerts: {to: {team: {url: 'json://127.0.0.1:1', events: [schedule]}}}\n")
    with pytest.raises(UserError), schedule_watch.watched("nightly"):
        raise UserError("params.yaml: models.one: unknown key.")
    with outbox.opened() as box:
        (told,) = box.owed({"team": None})
    assert (told.title, told.text) == (
        "schedule nightly could not run",
        "params.yaml: models.one: unknown key.",
    )
