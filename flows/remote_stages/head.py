"""The head's side: sends the stages of a run to workers, and takes over what they did."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import yaml

from components.project import layout
from data import atomic
from data.errors import first_line
from flows.remote_stages import snapshot, storage
from flows.remote_stages.storage import OWN
from flows.remote_stages.task import Report, Task
from flows.stages import push
from flows.stages.dag import Stage
from flows.stages.process import StageFailed
from flows.stages.push import PushFailed

AT_HEAD = ("ingest", "validate", "weights")
"""Kinds of stages that always run at the head: they read what lies outside of git and DVC, or write for people."""

_SNAPSHOTS = layout.STATE / "snapshots"
"""Names of this workspace's snapshots that the remote may have."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C where there is one: ten times as fast


class Worker(Protocol):
    """Somebody who does one task."""

    def do(self, task: Task) -> Report:
        """Do ``task`` and return how it went.

        Raises:
            StageFailed: nobody can tell how it went.
        """

    def stop(self) -> None:
        """Stop it; safe to call at any time, from another thread."""


class Head:
    """Knows the project, and what of it the workers can get."""

    def __init__(self, stages: Mapping[str, Stage], folder: Path) -> None:
        """Send some of ``stages``, by address, elsewhere; ``folder`` is for logs."""
        self._stages, self._folder = stages, folder
        self._there: set[str] = set()
        self._pushing = threading.Lock()

    def __enter__(self) -> Head:
        """Give the workers the project's files as they are now.

        Raises:
            UserError: they cannot be taken, or the remote does not take them.
        """
        self._remote = storage.of_project()
        self._storage = storage.open_here(self._remote)
        self._remove_snapshots()  # of runs that were killed: this one holds the lock
        with tempfile.TemporaryDirectory() as temporary:
            pack = Path(temporary, "pack")
            self._snapshot = snapshot.take(pack)
            self._pack = f"{OWN}/snapshots/{uuid.uuid4().hex}"
            atomic.write_text(_SNAPSHOTS / Path(self._pack).name, "")
            try:
                self._storage.put(pack, self._pack)
            except Exception as error:  # of any library below
                told = f"{type(error).__name__}: {first_line(error)}"
                raise PushFailed(f".dvc/config: the DVC remote took no push: {told}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._remove_snapshots()

    def _remove_snapshots(self) -> None:
        for noted in _SNAPSHOTS.glob("*"):
            with contextlib.suppress(Exception):  # the remote is away: the next run does it
                self._storage.remove(f"{OWN}/snapshots/{noted.name}")
                noted.unlink()

    def do(self, stage: Stage, worker: Worker, time_limit: float, force: bool) -> str:
        """Have ``worker`` do ``stage``, take over what it made, and return ``ran`` or ``restored``.

        Args:
            stage: one whose upstream stages are up to date here.
            worker: who does it.
            time_limit: seconds that its command may take.
            force: run the command even when somebody ran it before.

        Raises:
            StageFailed: it failed, there or on the way.
        """
        self._bring(stage.upstream)
        lock = yaml.load(Path("dvc.lock").read_text(), _LOADER)["stages"] if stage.upstream else {}
        names = [self._stages[address].name for address in stage.upstream]
        task = Task(
            stage.name,
            stage.item,
            self._snapshot,
            self._pack,
            self._remote,
            {name: lock[name] for name in names},
            time_limit,
            force,
        )
        report = worker.do(task)
        log = self._folder / f"{stage.address}.log"
        atomic.write_text(log, report.log)
        if report.how == "failed":
            raise StageFailed(f"{report.message}\nLog: {log}", is_transient=report.is_transient)
        self._take(stage, report)
        return report.how

    def _bring(self, upstream: tuple[str, ...]) -> None:
        """Make sure that the remote has the outs of the stages ``upstream``."""
        with self._pushing:
            missing = [address for address in upstream if address not in self._there]
            if missing:
                names = [self._stages[address].name for address in missing]
                push.push_stages(self._folder / "push.log", names)
                self._there.update(missing)

    def _take(self, stage: Stage, report: Report) -> None:
        entry = self._folder / f"{stage.address}.lock.json"
        atomic.write_json(entry, report.lock)
        for path, text in report.beside.items():
            atomic.write_text(Path(path), text)
        taking = subprocess.run(
            [sys.executable, "-m", "flows.remote_stages.taking", stage.name, str(entry)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        entry.unlink()
        if taking.returncode != 0:
            told = taking.stderr.strip().splitlines()[-1:]
            raise StageFailed(
                f"{stage.name}: was done, but not taken over: {' '.join(told)}", is_transient=True
            )
        self._there.add(stage.address)
