"""A real worker of a real work pool does what was asked from elsewhere, and what it says is told there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.flows import command_server, prefect_record
from tests.flows.pipeline import ROOT, Pipeline, steps

POOL = "toys"


@pytest.fixture(scope="module")
def worker(prefect_server, tmp_path_factory) -> Iterator[str]:
    """A process worker of the pool :data:`POOL`, which it makes; yield the API's address."""
    folder = tmp_path_factory.mktemp("worker")
    often = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "1"}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | prefect_server | often | {"PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    give_up = time.monotonic() + 90
    while "started!" not in (folder / "log").read_text():
        assert process.poll() is None and time.monotonic() < give_up, (folder / "log").read_text()
        time.sleep(0.1)
    yield prefect_server["PREFECT_API_URL"]
    process.terminate()
    process.wait(60)


def _states(url: str, folder: Path) -> list[tuple[str, str]]:
    """Return the name and state of each run of a worker that was sent from ``folder``, the last one first."""
    which = {
        "flows": {"name": {"any_": ["worker-retraining"]}},
        "deployments": {"name": {"like_": _id(folder)}},
    }
    return [(run["name"], run["state_name"]) for run in prefect_record.runs(url, **which)]


def _id(folder: Path) -> str:
    return json.loads((folder / ".darkroom/workspace.json").read_text())["id"]


def _processes(folder: Path) -> list[str]:
    """Return the commands of the live processes that are at work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(folder):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def _sent(pipeline: Pipeline, *arguments: str) -> subprocess.Popen:
    return pipeline.start(*arguments, "--pool", POOL)


def test_a_run_on_a_worker_reads_as_one_here(pipeline, prefect, worker):
    done = pipeline.run("one", "--pool", POOL, "--json")
    assert done.returncode == 0, done.stderr
    assert pipeline.done() == steps("one")
    assert done.stdout, done.stderr
    (row,) = yaml.safe_load(done.stdout)
    assert (row["model"], row["verdict"]) == ("one", "champion")
    assert "train@one: ran" in done.stderr
    # A schedule is the same run, in time.
    plan = yaml.safe_load((pipeline.folder / "params.yaml").read_text())
    plan["schedules"] = {"nightly": {"cron": "0 3 * * *", "models": ["one"]}}
    (pipeline.folder / "params.yaml").write_text(yaml.safe_dump(plan))
    scheduled = subprocess.run(
        command_server.command("schedule", "--pool", POOL),
        cwd=pipeline.folder,
        capture_output=True,
        text=True,
    )
    assert scheduled.returncode == 0, scheduled.stderr
    made = {one["name"].partition("-")[0]: one for one in prefect_record.deployments(worker, POOL)}
    assert made["nightly"]["schedules"][0]["schedule"]["cron"] == "0 3 * * *"
    assert made["nightly"]["parameters"] == {"models": ["one"]}
    assert made["nightly"]["pull_steps"] == made["by"]["pull_steps"]


def test_interrupted_it_is_cancelled_and_nothing_is_left(pipeline, prefect, worker):
    pipeline.hold("train@one")
    process = _sent(pipeline, "one")
    pipeline.wait_for("train@one", process)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 130, told
    ((_, state),) = _states(worker, pipeline.folder)
    assert state == "Cancelled"
    give_up = time.monotonic() + 20
    while (left := _processes(pipeline.folder)) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert left == []


def test_what_is_wrong_is_told_before_anything_is_sent(pipeline, prefect, worker):
    for arguments, told in (
        (["--pool", "tois"], "no such work pool. Did you mean 'toys'?"),
        (["oen", "--pool", POOL], "no model 'oen'"),
        (["--worker-folder", "/srv/project"], "it needs --pool"),
        (["--pool", POOL, "--worker-folder", "project"], "a whole path"),
    ):
        done = pipeline.run(*arguments)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_a_pool_needs_a_server(pipeline, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    done = pipeline.run("--pool", POOL)
    assert done.returncode == 2 and "PREFECT_API_URL" in done.stderr


def test_a_pool_without_a_worker_is_told(pipeline, prefect, prefect_server):
    prefect_record.make_pool(prefect_server["PREFECT_API_URL"], "idle")
    process = pipeline.start("--pool", "idle")
    for line in process.stdout:
        if "no worker is online" in line:
            break
    else:
        pytest.fail("nothing was told")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
