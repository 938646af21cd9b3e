"""``python -m flows.remote_stages.worker``: does one task, given as a line on standard input; prints a report.

It needs the packages of the project's lock, git, and the remote: no checkout of the project, and nothing of the head.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml

from data.errors import UserError
from flows.remote_stages import beside, run_cache, snapshot, workspace
from flows.remote_stages.storage import Storage, open_elsewhere
from flows.remote_stages.task import PROGRAMS, Report, Task
from flows.stages import dvc_command
from flows.stages.process import StageFailed, StageProcess, ends
from flows.workspace import pins

PATIENCE = (1.0, 5.0, 20.0, 60.0)
"""Seconds between the tries to reach the remote. A remote that is away for a minute costs no training."""

Result = TypeVar("Result")


class _Unreachable(Exception):
    """The remote did not answer, or not with what was asked for, in all tries."""


def perform(task: Task) -> Report:
    """Do ``task`` in a private workspace, or find that somebody did it; return how it went."""
    log = ""
    try:
        with workspace.private() as folder:
            file = folder / "log"
            try:
                return _perform(task, folder, file)
            finally:
                log = ends(file) if file.exists() else ""
    except UserError as error:
        return Report("failed", message=str(error), log=log)
    except StageFailed as error:
        # What the stage's command says by itself would be the same on the next try.
        message = (
            str(error).rpartition("Log: ")[0].strip()
        )  # it goes with the workspace; the head has its end
        return Report("failed", message=message, log=log, is_transient=error.was_killed)
    except _Unreachable as error:
        return Report("failed", message=str(error), log=log, is_transient=True)


def _perform(task: Task, folder: Path, log: Path) -> Report:
    storage = open_elsewhere(task.remote)
    pack, project, found = folder / "pack", folder / "project", folder / "found"
    if not _try("the project's files", lambda: storage.get(task.pack, pack)):
        raise UserError(
            f"{socket.gethostname()}: {task.remote.settings['url']} has no {task.pack}. Is that the same "
            "place here and where the run was started?"
        )
    snapshot.check_out(task.snapshot, pack, project)
    pack.unlink()
    workspace.configure(project, task.remote)
    with contextlib.chdir(project):
        _refuse_other_versions()
        _write_lock(task.upstream)
        key = _fetch_deps(task)
        entry = None if task.force else _try("the run cache", lambda: run_cache.find(storage, key, found))
        if entry is not None:
            _write_lock(task.upstream | {task.stage: entry})
            _fetch_outs(task.stage)
        is_known, is_training = entry is not None, task.stage.startswith("train")
        points = beside.ResumePoints(storage, task.item, key)
        with points if is_training else contextlib.nullcontext():
            how = _run(task, log)
        entry = yaml.safe_load(Path("dvc.lock").read_text())["stages"][task.stage]
        if is_known and how == "restored":
            texts = _try("what is beside", lambda: beside.find(storage, key, found))
        else:
            texts = beside.collect(task.item) if is_training else {}
            _try("its push", lambda: _push(storage, task.stage, key, entry, texts, found))
        if is_training:
            _try("its resume points", points.forget)
    return Report(how, entry, texts, ends(log))


def _run(task: Task, log: Path) -> str:
    programs = os.environ.get(PROGRAMS)
    process = StageProcess(
        task.stage, log, {}, programs=Path(programs) if programs else None, force=task.force
    )
    return process.run(task.time_limit)


def _refuse_other_versions() -> None:
    """Make sure that what this machine has of the project's lock is what the lock says: other versions, other bytes.

    What it does not have at all is of no harm: a stage that needs it says so.
    """
    if not pins.LOCK.exists():
        return
    others = [(name, pinned, here) for name, pinned, here in pins.others(pins.LOCK) if here != "none"]
    if others:
        told = ", ".join(f"{name} {here} (the lock says {pinned})" for name, pinned, here in others)
        raise UserError(
            f"{socket.gethostname()}: has other versions than {pins.LOCK}: {told}. "
            f"There: pip install --no-deps -r {pins.LOCK}"
        )


def _fetch_deps(task: Task) -> str:
    """Bring the deps of the stage that are outs of others, nothing else; return the stage's key."""
    from dvc.repo import Repo

    repo = Repo(".")
    deps = [dep.def_path for dep in repo.stage.load_one(name=task.stage).deps]
    wanted = [dep for dep in deps if not Path(dep).exists()]

    def fetch() -> None:
        if wanted:
            repo.fetch(wanted)
            repo.checkout(wanted, force=True)

    _try(f"deps of {task.stage}", fetch)
    for dep in deps:
        if not Path(dep).exists():
            raise UserError(f"{task.stage}: {dep} is neither in the snapshot nor on the DVC remote.")
    return run_cache.key(repo, task.stage)


def _fetch_outs(stage: str) -> None:
    """Bring the outs of a stage into the cache, from which DVC restores them. Where they are gone, it runs it again."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with contextlib.suppress(DvcException):
        Repo(".").fetch([stage])


def _push(storage: Storage, stage: str, key: str, entry: dict, texts: dict[str, str], file: Path) -> None:
    """Bring the outs to the remote, and then the word that they are there."""
    from dvc.repo import Repo

    repo = Repo(".")
    repo.push([stage])
    beside.publish(storage, key, texts, file)
    run_cache.publish(storage, repo, key, entry)


def _write_lock(stages: dict) -> None:
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def _try(what: str, action: Callable[[], Result]) -> Result:
    """Do what needs the remote, several times where it fails."""
    for pause in (*PATIENCE, None):
        try:
            return action()
        except UserError:
            raise
        except Exception as error:  # of DVC and of any library below it
            told = f"{socket.gethostname()}: {what}: {type(error).__name__}: {' '.join(str(error).split())}"
            if pause is None:
                raise _Unreachable(told) from error
            print(f"{told}; tried again in {pause:g} s", file=sys.stderr, flush=True)
            time.sleep(pause)
    raise AssertionError


def main() -> None:
    """Do the task on standard input; the report is all that comes out on standard output."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # DVC shows how far it is
    dvc_command.hash_what_is_sent()
    answer.write(perform(Task.from_json(sys.stdin.readline())).to_json() + "\n")
    answer.flush()


if __name__ == "__main__":
    main()
