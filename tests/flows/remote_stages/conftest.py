"""A toy project with a remote, and what a head would ask of workers that share nothing but that."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from data import atomic
from flows.remote_stages import snapshot, storage
from flows.remote_stages.local_worker import LocalWorker
from flows.remote_stages.task import Task
from flows.remote_stages.workspace import VARIABLE
from tests.flows.pipeline import ROOT
from tests.flows.remotes import DVC

DVC_YAML = """
stages:
  prepare:
    foreach: ${datasets}
    do:
      cmd: cp ${item} prepared-${key} && cp ${item} unwanted-${key}
      deps: ["${item}"]
      outs: ["prepared-${key}", "unwanted-${key}"]
  train:
    foreach: ${models}
    do:
      cmd: python -m tests.flows.toy_stage train ${key}
      params: ["models.${key}"]
      deps: ["prepared-${item.dataset}"]
      outs: ["artifacts/models/${key}/train"]
"""

CLOCK = """
import time
def fast(clock, seconds):
    return lambda: clock() + seconds
time.time, time.time_ns = fast(time.time, {0}), fast(time.time_ns, {0} * 10**9)
"""
"""What Python runs as it starts: another clock for all that is written in Python."""

IGNORED = "artifacts/\n.darkroom/\n.remote/\n*.log\nwait-*\n"


class Project:
    """A toy project whose data are prepared and pushed.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def task(self, *, force: bool = False) -> Task:
        """Return the task ``train@one`` of the files as they are now."""
        remote = storage.of_project()
        pack = self.folder / "pack.log"  # a name that is ignored
        name = snapshot.take(pack)
        storage.open_here(remote).put(pack, "darkroom/snapshots/s")
        lock = yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"]
        upstream = {"prepare@digits": lock["prepare@digits"]}
        return Task("train@one", "one", name, "darkroom/snapshots/s", remote, upstream, 60, force)

    def steps(self) -> list[str]:
        """Return the steps of trainings that were taken, wherever."""
        return (self.folder / "steps.log").read_text().splitlines()

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something holds."""
        give_up = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < give_up
            time.sleep(0.05)


@pytest.fixture(scope="session")
def _prepared(_toy_template, tmp_path_factory) -> Path:
    """That project, made once: three commands of DVC take longer than most tests of it."""
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(_toy_template, folder, dirs_exist_ok=True)
    atomic.write_text(folder / "dvc.yaml", DVC_YAML)
    atomic.write_text(folder / ".gitignore", IGNORED)
    add = ["remote", "add", "-q", "--default", "there", ".remote"]
    for command in (add, ["repro", "-q", "-s", "prepare@digits"], ["push", "-q"]):
        subprocess.run([DVC, *command], check=True, cwd=folder)
    return folder


@pytest.fixture
def project(toy, _prepared, monkeypatch) -> Project:
    """That project as the working directory; its remote is a folder in it."""
    shutil.copytree(_prepared, toy, dirs_exist_ok=True)
    monkeypatch.setenv("DARKROOM_TEST", str(toy))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv(VARIABLE, str(toy / ".darkroom/first"))
    return Project(toy)


@pytest.fixture
def worker(toy) -> Callable[..., LocalWorker]:
    """Make a worker that calls itself another machine, by name; its clock is ``fast`` by as many seconds."""

    def make(machine: str, fast: int = 0) -> LocalWorker:
        environment = {VARIABLE: str(toy / ".darkroom" / machine)}
        if fast:
            atomic.write_text(toy / ".darkroom/clocks" / machine / "sitecustomize.py", CLOCK.format(fast))
            environment["PYTHONPATH"] = f"{toy}/.darkroom/clocks/{machine}{os.pathsep}{ROOT}"
        return LocalWorker(toy / f"{machine}.log", environment, None)

    return make
