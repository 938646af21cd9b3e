"""Private workspaces of a worker: a folder for each task, gone when the task is over, and a DVC cache that stays.

A workspace belongs to whoever holds its lock. What a machine that went down left behind is removed by the next worker.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from configobj import ConfigObj
from filelock import FileLock, Timeout

from flows.processes import reaper
from flows.remote_stages.storage import Remote

VARIABLE = "DARKROOM_WORKER_FOLDER"
"""Environment variable: where a worker keeps its workspaces and its DVC cache."""


def base() -> Path:
    """Return the folder of this machine's workers; of two that call themselves two machines, each has its own."""
    return Path(os.environ.get(VARIABLE) or platformdirs.user_cache_path("darkroom") / "worker").absolute()


@contextmanager
def private() -> Iterator[Path]:
    """Yield an empty folder for one task; it goes with the block, or with this process if that is killed.

    All processes that the block starts end with it, too.
    """
    place = base() / "work"
    place.mkdir(parents=True, exist_ok=True)
    folder = place / uuid.uuid4().hex
    with FileLock(place / "lock"):  # nobody sweeps between the making of a lock and its taking
        _sweep(place)
        held = FileLock(folder.with_suffix(".lock"))
        held.acquire()
    try:
        folder.mkdir()
        with reaper.guard(folder.name, folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        held.release()
        folder.with_suffix(".lock").unlink(missing_ok=True)


def _sweep(place: Path) -> None:
    for file in place.glob("*.lock"):
        left = FileLock(file)
        try:
            left.acquire(blocking=False)
        except Timeout:
            continue
        shutil.rmtree(file.with_suffix(""), ignore_errors=True)
        file.unlink(missing_ok=True)
        left.release()


def configure(project: Path, remote: Remote) -> None:
    """Write ``.dvc/config.local`` of a workspace: this remote, the worker's cache, and what DVC notes of files.

    By itself DVC would note that of each workspace in a folder below ``/var/tmp``, for ever.
    """
    local = ConfigObj(interpolation=False)
    local.filename = str(project / ".dvc/config.local")
    local["core"] = {"remote": remote.name, "site_cache_dir": str(project / ".dvc/tmp/site")}
    local["cache"] = {"dir": str(base() / "cache")}
    local[f'remote "{remote.name}"'] = remote.settings
    local.write()
