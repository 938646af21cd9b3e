"""A real worker of a real work pool does what was asked from elsewhere, and what it says is told there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from flows.processes.reaper import MARK
from tests.flows import command_server, prefect_record
from tests.flows.pipeline import ROOT, steps

POOL = "toys"


@contextmanager
def _working(pool: str, folder: Path, variables: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Run a process worker of a pool, which it makes."""
    often = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "1"}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | variables | often | {"PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        give_up = time.monotonic() + 90
        while "started!" not in (folder / "log").read_text():
            assert process.poll() is None and time.monotonic() < give_up, (folder / "log").read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def worker(prefect_server, tmp_path_factory) -> Iterator[str]:
    """A worker of the pool :data:`POOL`; yield the API's address."""
    with _working(POOL, tmp_path_factory.mktemp("worker"), prefect_server):
        yield prefect_server["PREFECT_API_URL"]


def _states(url: str, folder: Path) -> list[str]:
    """Return the state of each run on a worker that was sent from ``folder``."""
    which = {
        "flows": {"name": {"any_": ["worker-retraining"]}},
        "deployments": {"name": {"like_": _id(folder)}},
    }
    return [run["state_name"] for run in prefect_record.runs(url, **which)]


def _id(folder: Path) -> str:
    return json.loads((folder / ".darkroom/workspace.json").read_text())["id"]


def _left(folder: Path) -> list[str]:
    """Wait up to 20 s until no process is at work in ``folder``, and return the commands of those that are."""
    give_up = time.monotonic() + 20
    while (found := list(_at_work(folder))) and time.monotonic() < give_up:
        time.sleep(0.1)
    return found


def _at_work(folder: Path) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if Path(process.cwd()).is_relative_to(folder) and (
                process.environ().get(MARK) or "prefect.engine" in command
            ):
                yield command
        except psutil.Error:
            continue


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
    process = pipeline.start("one", "--pool", POOL)
    pipeline.wait_for("train@one", process)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert _states(worker, pipeline.folder) == ["Cancelled"]
    assert _left(pipeline.folder) == []


@pytest.mark.slow
def test_a_run_that_its_worker_took_along_is_closed_by_the_next(
    pipeline, prefect, worker, prefect_server, tmp_path_factory
):
    held = pipeline.hold("train@one")
    with _working("ending", tmp_path_factory.mktemp("ending"), prefect_server) as ending:
        first = pipeline.start("one", "--pool", "ending")
        pipeline.wait_for("train@one", first)
        ending.terminate()
        assert ending.wait(60) == 0
    assert _left(pipeline.folder) == []
    assert _states(worker, pipeline.folder) == ["Running"]  # Prefect knows no better
    held.unlink()
    done = pipeline.run("one", "--pool", POOL)
    assert done.returncode == 0, done.stderr
    assert sorted(_states(worker, pipeline.folder)) == ["Completed", "Crashed"]
    told, _ = first.communicate(timeout=60)
    assert first.returncode == 1 and "Crashed: Its process was killed." in told


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
