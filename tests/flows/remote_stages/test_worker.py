"""One stage in a private workspace: on a folder in place of the network, and on a real S3 server that goes away."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from flows.remote_stages import storage
from flows.remote_stages import worker as worker_module
from flows.remote_stages.head import Head
from flows.remote_stages.local_worker import LocalWorker
from flows.remote_stages.storage import open_elsewhere
from flows.remote_stages.task import Report, Task
from flows.stages.process import StageFailed
from flows.workspace import pins
from tests.flows import remotes
from tests.flows.door import Door
from tests.flows.remotes import DVC


@pytest.fixture
def perform(monkeypatch):
    """Do a task in this process, without patience."""
    monkeypatch.setattr(worker_module, "PATIENCE", ())
    return worker_module.perform


def workspaces(machine: str) -> list[str]:
    return [path.name for path in Path(".darkroom", machine, "work").iterdir() if path.name != "lock"]


def test_uncommitted_files_run_once_and_are_found_by_all_others(project, perform, monkeypatch):
    first = perform(project.task())
    assert (first.how, first.message) == ("ran", "")
    assert project.steps() == ["one 1", "one 2", "one 3"]
    assert first.lock["outs"][0]["path"] == "artifacts/models/one/train"
    assert json.loads(first.beside[".darkroom/timing/one.json"])["processor"] == "a processor"
    assert workspaces("first") == []
    cached = {file.name for file in Path(".darkroom/first/cache/files").rglob("*") if file.is_file()}
    assert len(cached) == 4  # a dep, and the outs: not the data that the stage does not read

    monkeypatch.setenv("DARKROOM_WORKER_FOLDER", str(project.folder / ".darkroom/second"))
    again = perform(project.task())
    assert (again.how, again.lock, again.beside) == ("restored", first.lock, first.beside)
    assert len(project.steps()) == 3
    forced = perform(project.task(force=True))
    assert (forced.how, forced.lock) == ("ran", first.lock)
    assert len(project.steps()) == 6

    params = Path("params.yaml")
    params.write_text(params.read_text().replace("one: {family: logreg", "one: {seed: 1, family: logreg"))
    assert perform(project.task()).how == "ran"


def test_a_training_that_is_killed_goes_on_elsewhere_two_hours_before(project, worker):
    """The clock of the first machine is an hour fast, that of the second an hour slow."""
    task, wait = project.task(), project.folder / "wait-one"
    wait.touch()
    storage, first, ended = open_elsewhere(task.remote), worker("first", fast=3600), []
    assert 3500 < _clock(first) - time.time() < 3700

    def do() -> None:
        try:
            first.do(task)
        except StageFailed as error:
            ended.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    project.wait_for(lambda: storage.names("darkroom/resume/one"))
    os.kill(first._process.pid, signal.SIGKILL)
    thread.join(30)
    assert "its worker was killed by SIGKILL" in str(ended[0]) and ended[0].is_transient
    project.wait_for(lambda: [name for name in workspaces("first") if not name.endswith(".lock")] == [])
    wait.unlink()
    report = worker("second", fast=-3600).do(task)
    assert (report.how, project.steps()) == ("ran", ["one 1", "one 2", "one 3"])
    assert storage.names("darkroom/resume") == []
    assert workspaces("second") == []


def _clock(worker: LocalWorker) -> float:
    command = [sys.executable, "-c", "import time; print(time.time())"]
    return float(subprocess.check_output(command, env=os.environ | worker._environment))


def test_killed_in_its_push_it_is_done_again_and_known_from_then_on(project, worker, perform, monkeypatch):
    task = project.task()
    monkeypatch.setattr(worker_module.beside, "publish", _die)  # the outs are there, and nobody knows
    _perform_and_die(perform, task)
    report = worker("second").do(task)
    assert (report.how, report.message) == ("ran", "")
    again = worker("third").do(task)
    assert (again.how, again.lock) == ("restored", report.lock)


def test_two_heads_have_one_task_done_at_once(project, worker):
    task, wait = project.task(), project.folder / "wait-one"
    wait.touch()
    reports = []
    for machine in ("first", "second"):
        doing = worker(machine)
        thread = threading.Thread(target=lambda doing=doing: reports.append(doing.do(task)))
        thread.start()
    project.wait_for(lambda: project.folder.joinpath("steps.log").exists() and len(project.steps()) == 4)
    wait.unlink()
    project.wait_for(lambda: len(reports) == 2)
    assert [report.how for report in reports] == ["ran", "ran"], reports
    assert reports[0].lock == reports[1].lock
    assert open_elsewhere(task.remote).names("darkroom/resume") == []


def test_a_head_leaves_the_snapshots_of_others_alone(project, tmp_path_factory, monkeypatch):
    """Of two clones of one project with one remote."""

    def names() -> list[str]:
        return storage.open_here(storage.of_project()).names("darkroom/snapshots")

    other = tmp_path_factory.mktemp("other")
    shutil.copytree(project.folder, other, dirs_exist_ok=True)
    config = other / ".dvc/config"
    config.write_text(config.read_text().replace("../.remote", str(project.folder / ".remote")))
    with Head({}, Path("logs")):
        of_first = names()
        with monkeypatch.context() as there:
            there.chdir(other)
            with Head({}, Path("logs")):
                assert len(names()) == 2
        assert names() == of_first
    assert names() == []


def test_a_stage_that_prints_much_takes_no_memory_for_it(project, worker):
    printing = "head -c 200000000 /dev/zero | tr '\\\\0' x && python -m tests.flows.toy_stage train"
    dvc_yaml = Path("dvc.yaml")
    dvc_yaml.write_text(dvc_yaml.read_text().replace("python -m tests.flows.toy_stage train", printing))
    task, first, reports = project.task(), worker("first"), []
    thread = threading.Thread(target=lambda: reports.append(first.do(task)))
    thread.start()
    peaks: dict[int, int] = {}
    while thread.is_alive():
        time.sleep(0.02)
        if first._process is not None:
            peaks |= _peaks(first._process.pid)
    assert (reports[0].how, reports[0].message) == ("ran", "")
    assert 0 < len(reports[0].log) < 1 << 20
    assert 0 < max(peaks.values()) < 200e6, peaks


def _peaks(pid: int) -> dict[int, int]:
    """Return the most memory that each process of a tree ever had resident, in bytes."""
    found = {}
    with contextlib.suppress(psutil.Error, OSError):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            status = Path(f"/proc/{process.pid}/status").read_text()
            for peak in re.findall(r"^VmHWM:\s+(\d+) kB", status, flags=re.MULTILINE):
                found[process.pid] = int(peak) * 1024
    return found


def test_a_remote_that_is_gone_for_seconds_costs_nothing(project, worker):
    task, wait = project.task(), project.folder / "wait-one"
    wait.touch()
    first, reports = worker("first"), []
    thread = threading.Thread(target=lambda: reports.append(first.do(task)))
    thread.start()
    project.wait_for(lambda: (project.folder / "steps.log").exists() and len(project.steps()) == 2)
    remote, aside = project.folder / ".remote", project.folder / ".darkroom/aside"
    remote.rename(aside)
    remote.touch()  # a folder would only be empty
    wait.unlink()
    project.wait_for(lambda: "tried again in" in (project.folder / "first.log").read_text())
    remote.unlink()
    aside.rename(remote)
    thread.join(60)
    assert (reports[0].how, len(project.steps())) == ("ran", 3)
    assert worker("second").do(task).how == "restored"


def test_killed_between_push_and_report_it_is_not_done_again(project, worker, perform, monkeypatch):
    task = project.task()
    monkeypatch.setattr(worker_module.beside.ResumePoints, "forget", _die)
    _perform_and_die(perform, task)
    report = worker("second").do(task)
    assert (report.how, len(project.steps())) == ("restored", 3)
    assert ".darkroom/timing/one.json" in report.beside


def _perform_and_die(perform: Callable[[Task], Report], task: Task) -> None:
    child = os.fork()
    if child == 0:
        try:
            perform(task)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_only_this_machine_s_cache_has_is_pushed(project, perform, monkeypatch):
    """Killed between the training and its push."""
    task = project.task()
    monkeypatch.setattr(worker_module, "_push", lambda *_: 1 / 0)
    failed = perform(task)
    assert failed.is_transient and "its push: ZeroDivisionError" in failed.message
    monkeypatch.undo()
    monkeypatch.setenv("DARKROOM_TEST", str(project.folder))
    monkeypatch.setenv("DARKROOM_WORKER_FOLDER", str(project.folder / ".darkroom/first"))
    monkeypatch.chdir(project.folder)
    assert perform(task).how == "restored"
    monkeypatch.setenv("DARKROOM_WORKER_FOLDER", str(project.folder / ".darkroom/second"))
    assert perform(task).how == "restored"
    assert len(project.steps()) == 3


def test_what_is_wrong_is_told(project, perform):
    task = project.task()
    other = perform(replace(task, pack="darkroom/snapshots/other"))
    assert "has no darkroom/snapshots/other. Is that the same place here" in other.message
    lacking = perform(replace(task, upstream={}))
    assert "deps of train@one: " in lacking.message
    assert not other.is_transient and lacking.is_transient
    late = perform(replace(task, time_limit=0.0))
    assert late.message.startswith("train@one ran out of its 0 minutes")
    assert not late.is_transient


def test_another_version_of_a_locked_package_is_named_and_refused(project, perform):
    pins.LOCK.write_text("pyyaml==1.0\nno-such-thing==7\n")
    refused = perform(project.task())
    assert "has other versions than requirements.lock: pyyaml " in refused.message
    assert "(the lock says 1.0). There: pip install --no-deps -r requirements.lock" in refused.message
    assert "no-such-thing" not in refused.message
    assert not refused.is_transient
    assert not (project.folder / "steps.log").exists()


@pytest.mark.slow
def test_a_remote_that_goes_away_for_a_while(project, worker, tmp_path_factory, monkeypatch):
    with remotes.s3(tmp_path_factory.mktemp("s3")) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        door = Door(urlsplit(server.settings["endpointurl"]).port)
        for setting in (["url", f"{server.url}/a"], ["endpointurl", f"http://127.0.0.1:{door.port}"]):
            subprocess.run([DVC, "remote", "modify", "there", *setting], check=True, capture_output=True)
        subprocess.run([DVC, "push", "-q"], check=True)
        task, wait = project.task(), project.folder / "wait-one"
        wait.touch()
        first, reports = worker("first"), []
        thread = threading.Thread(target=lambda: reports.append(first.do(task)))
        thread.start()
        project.wait_for(lambda: (project.folder / "steps.log").exists() and len(project.steps()) == 2)
        door.shut()
        wait.unlink()
        project.wait_for(lambda: "tried again in" in (project.folder / "first.log").read_text())
        door.open()
        thread.join(60)
        assert [report.how for report in reports] == ["ran"], reports
        again = worker("second").do(task)
        assert again == replace(reports[0], how="restored", log=again.log)
        assert len(project.steps()) == 3
        door.shut()
