"""``python -m flows.stages.dvc_command ARGUMENTS``: DVC as stages are run by it here, with six differences.

It passes a request to end on to the command of its stage. DVC itself would end at once and leave that command running.
When the command ends instead, DVC sees it fail, leaves its own files whole, and ends.

It hashes what it restores from its cache, and what it pushes. DVC itself takes each object that is write-protected for
what its name says. One that is not is deleted, as DVC does with others: the stage is run, the push fails.

It records a stage only with the deps and params that it had before the command began. DVC itself hashes them once more
when the command has ended, and waited for a lock. (A stage's own command looks as well, in
:mod:`components.project.inputs`: that holds for ``dvc repro`` too, and names the key.)

It runs no command where :data:`RESTORE_ONLY` says so: what is not in the cache is made elsewhere
(:mod:`flows.remote_stages`).

It writes ``dvc.lock`` in one step. DVC itself empties the file and fills it again: killed in between, it leaves the
first part, which is a valid file and has forgotten the rest.

It reads and writes of ``dvc.lock`` what is its stage's (:mod:`flows.stages.lock_entries`). DVC itself does all of it
for each stage: 4.5 s where there are forty models, and nobody else can do anything in that time. It parses a text and
hashes a dep once (:mod:`flows.stages.read_once`), and sees within hundredths of a second that DVC's lock is free.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from data import atomic
from flows.stages import lock_entries, read_once

if TYPE_CHECKING:
    from dvc.dependency import Dependency
    from dvc.stage import Stage
    from dvc_data.hashfile.hash_info import HashInfo

RESTORE_ONLY = "DARKROOM_RESTORE_ONLY"
"""Environment variable: where it is set, a stage is restored from the cache or not done at all."""

NOT_AT_HAND = "neither up to date nor in the cache"
"""What is printed of a stage that was not done."""


def main() -> None:
    """Run ``dvc`` with this process's arguments."""
    signal.signal(signal.SIGTERM, _end_commands)
    from dvc.cli import main

    _record_what_was_read()
    _hash_what_is_restored()
    hash_what_is_sent()
    write_at_once()
    if os.environ.pop(RESTORE_ONLY, None):
        _run_nothing()
    _look_often()
    lock_entries.use()
    read_once.parse_once()
    with read_once.hash_once():
        sys.exit(main(sys.argv[1:]))


def _look_often() -> None:
    """Have whoever waits for DVC's lock look for it fifty times a second; DVC itself does twice."""
    from dvc import lock

    wait, patience = lock.Lock.lock, lock.DEFAULT_TIMEOUT

    def wait_awake(self: lock.Lock) -> None:
        lock.DEFAULT_TIMEOUT = 0.12 if self._wait else patience  # of which it sleeps a sixth between looks
        try:
            wait(self)
        finally:
            lock.DEFAULT_TIMEOUT = patience

    lock.Lock.lock = wait_awake


def _end_commands(*_: object) -> None:
    import psutil

    for command in psutil.Process().children(recursive=True):
        try:
            command.terminate()
        except psutil.NoSuchProcess:
            continue


def _hash(dep: Dependency) -> HashInfo:
    """Return the hash that DVC will record: until then it takes a dep that dvc.lock lacks for one of an old release."""
    dep.update_legacy_hash_name()
    return dep.get_hash()


def _record_what_was_read() -> None:
    from dvc.stage import Stage

    run, save = Stage._run_stage, Stage.save
    began: dict = {}

    def run_noted(self: Stage, *arguments: object, **options: object) -> object:
        began[self.addressing] = [_hash(dep) if dep.exists else None for dep in self.deps]
        return run(self, *arguments, **options)

    def save_unchanged(self: Stage, *arguments: object, **options: object) -> None:
        save(self, *arguments, **options)
        then = began.pop(self.addressing, None) or [dep.hash_info for dep in self.deps]
        edited = [str(dep) for dep, hashed in zip(self.deps, then, strict=True) if dep.hash_info != hashed]
        if edited:
            print(
                f"error: {self.addressing}: edited while it ran, so its results are not recorded: {', '.join(edited)}. "
                "Run it again, for what is there now.",
                file=sys.stderr,
            )
            sys.exit(1)

    Stage._run_stage, Stage.save = run_noted, save_unchanged


def _run_nothing() -> None:
    from dvc.exceptions import DvcException
    from dvc.stage import run

    def refuse(stage: Stage, **_: object) -> None:
        raise DvcException(f"{stage.addressing}: {NOT_AT_HAND}")

    run.cmd_run = refuse


def write_at_once() -> None:
    """Have DVC write its YAML files, ``dvc.lock`` among them, as a whole or not at all."""
    from dvc.utils.serialize import _common

    def dump(path: str, data: object, dumper: Callable, fs: object = None, **options: object) -> None:
        with atomic.file(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
            dumper(data, file, **options)

    _common._dump_data = dump


def _hash_what_is_restored() -> None:
    from dvc.stage.cache import StageCache
    from dvc_data.hashfile.db.local import LocalHashFileDB

    restore, check = StageCache.restore, LocalHashFileDB.check

    def restore_checked(self: StageCache, *arguments: object, **options: object) -> object:
        LocalHashFileDB.check = _check
        try:
            return restore(self, *arguments, **options)
        finally:
            LocalHashFileDB.check = check

    StageCache.restore = restore_checked


def hash_what_is_sent() -> None:
    """Have DVC in this process hash each object of its cache before it sends it, and send no damaged one."""
    from dvc_data.hashfile import transfer
    from dvc_data.hashfile.db.local import LocalHashFileDB
    from dvc_objects.errors import ObjectFormatError

    add = transfer._add

    def is_bad(source, oid: str) -> bool:
        try:
            _check(source, oid)
        except ObjectFormatError:
            return True
        except FileNotFoundError:  # DVC says so itself
            pass
        return False

    def add_checked(source, target, hashes, **options: object) -> set:
        local = isinstance(source, LocalHashFileDB)
        bad = {one for one in hashes if local and is_bad(source, one.value)}
        return bad | add(source, target, set(hashes) - bad, **options)

    transfer._add = add_checked


def _check(store, oid: str, check_hash: bool = True, info: dict | None = None):
    """Stand in for the check of an object of the cache: hash it, whatever its mode and what was noted of it before."""
    from dvc_data.hashfile.db import HashFileDB
    from dvc_data.hashfile.state import StateNoop
    from dvc_objects.errors import ObjectFormatError

    noted, store.state = store.state, StateNoop()
    try:
        return HashFileDB.check(store, oid, check_hash, info)
    except ObjectFormatError:
        print(f"{store.oid_to_path(oid)}: deleted, it held other bytes than its name says", file=sys.stderr)
        raise
    finally:
        store.state = noted


if __name__ == "__main__":
    main()
