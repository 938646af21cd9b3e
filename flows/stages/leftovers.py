"""What killed processes left behind in this folder: locks of DVC that nobody holds, and writes that nobody ends.

All of it is called under the lock of the run, so that no other run of this folder is alive. A ``dvc`` that somebody
typed may be: what a living process owns stays, and is waited for.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import zc.lockfile

_TEMPORARY = Path(".dvc/tmp")
_REPOSITORY, _PATHS, _GUARD = (_TEMPORARY / name for name in ("lock", "rwlock", "rwlock.lock"))
_WRITES = (
    *("{}", "data/*/{}"),
    *("artifacts/{}", "artifacts/*/{}", "artifacts/*/*/{}"),
    *(".darkroom/{}", ".darkroom/*/{}", ".darkroom/resume/*/*/{}"),
)
_UNFINISHED = re.compile(r"\..+?\.(?:(?P<pid>\d+)\.)?[a-z0-9_]{8}\.(?:tmp|old)")
"""A temporary name of :mod:`data.atomic`."""

_DVC = ("dvc", "flows.stages.dvc_command", "dvc_command.py", "flows.stages.fork_server.server")
"""Words by which a command line is known as one of DVC's, or of a copy that has become it."""

_SLACK = 2.0
"""Seconds by which a process may seem to have begun after it wrote a file: its start is known to a second only."""

Tell = Callable[[str], object]


def sweep(tell: Tell) -> None:
    """Remove what no living process of this folder owns, and wait for those DVC processes that own locks.

    Args:
        tell: gets a line for everything that is removed, and for whoever is waited for.
    """
    _wait(holder, tell)
    _wait(lambda: _sweep_paths(tell), tell)
    for write in _unfinished_writes():
        shutil.rmtree(write) if write.is_dir() else write.unlink(missing_ok=True)
        tell(f"{write}: removed, a process was killed while it wrote it")


def _wait(busy: Callable[[], str | None], tell: Tell) -> None:
    """Wait until ``busy`` names nobody any more; tell once of each whom it names."""
    told = None
    while (who := busy()) is not None:
        if who != told:
            tell(f"waiting for {who}")
            told = who
        time.sleep(0.5)


def holder(lock: Path = _REPOSITORY) -> str | None:
    """Return who holds a lock file of DVC, by default the one of the repository; None when it is free."""
    if not lock.exists():
        return None
    try:
        zc.lockfile.LockFile(str(lock)).close()
    except zc.lockfile.LockError:
        pid = lock.read_text(errors="replace").strip()
        return f"process {pid or 'unknown'}{_command(pid)}, which holds {lock}"
    return None


def _command(pid: str) -> str:
    try:
        return f" ({' '.join(psutil.Process(int(pid)).cmdline())})"
    except (ValueError, psutil.Error):
        return ""


def _sweep_paths(tell: Tell) -> str | None:
    """Remove the entries of DVC's table of used paths whose process is gone; return who of the others is alive."""
    if not _PATHS.exists() or _PATHS.read_text(errors="replace") == "{}":
        return None
    try:
        guard = zc.lockfile.LockFile(str(_GUARD))
    except zc.lockfile.LockError:
        return holder(_GUARD) or "DVC"
    try:
        named = _named(json.loads(_PATHS.read_text()))
    except (ValueError, TypeError, KeyError, AttributeError):
        _PATHS.unlink()
        tell(f"{_PATHS}: removed, it was cut short when a process was killed")
        return None
    else:
        alive = [pid for pid in named if _is_dvc(pid) and _owns(pid, _PATHS)]
        if alive:
            return f"process {alive[0]} ({named[alive[0]]}), which {_PATHS} names"
        if named:
            _PATHS.unlink()
            tell(f"{_PATHS}: removed, the processes that it names are gone")
        return None
    finally:
        guard.close()


def _named(table: dict[str, Any]) -> dict[int, str]:
    """Return the processes that a table of used paths names, with their commands."""
    readers = [one for some in table.get("read", {}).values() for one in some]
    return {int(one["pid"]): one["cmd"] for one in [*readers, *table.get("write", {}).values()]}


def _is_dvc(pid: int) -> bool:
    try:
        return not {Path(word).name for word in psutil.Process(pid).cmdline()}.isdisjoint(_DVC)
    except psutil.Error:
        return False


def _owns(pid: int, file: Path) -> bool:
    """Whether the process ``pid`` is one that can have written ``file``: it works in this folder, and began before."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.create_time() > file.stat().st_mtime + _SLACK:
            return False
        return Path(process.cwd()).is_relative_to(Path.cwd())
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.AccessDenied:  # another user's
        return True


def _unfinished_writes() -> Iterator[Path]:
    for place in _WRITES:
        for pattern in (".*.tmp", ".*.old"):
            for path in Path().glob(place.format(pattern)):
                match = _UNFINISHED.fullmatch(path.name)
                if match and not (match["pid"] and _owns(int(match["pid"]), path)):
                    yield path
