"""A toy project with a remote, and what a head would ask of workers that share nothing but that."""

from __future__ import annotations

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


@pytest.fixture
def project(toy, monkeypatch) -> Project:
    """That project as the working directory; its remote is a folder in it."""
    atomic.write_text(toy / "dvc.yaml", DVC_YAML)
    atomic.write_text(toy / ".gitignore", IGNORED)
    monkeypatch.setenv("DARKROOM_TEST", str(toy))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv(VARIABLE, str(toy / ".darkroom/first"))
    add = ["remote", "add", "-q", "--default", "there", str(toy / ".remote")]
    for command in (add, ["repro", "-q", "-s", "prepare@digits"], ["push", "-q"]):
        subprocess.run([DVC, *command], check=True)
    return Project(toy)


@pytest.fixture
def worker(toy) -> Callable[[str], LocalWorker]:
    """Make a worker that calls itself another machine, by name."""

    def make(machine: str) -> LocalWorker:
        return LocalWorker(toy / f"{machine}.log", {VARIABLE: str(toy / ".darkroom" / machine)}, None)

    return make
