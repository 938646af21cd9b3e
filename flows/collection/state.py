"""What lies in ``.darkroom``: copies of bundles, logs, resume points, memos, reproductions that differed."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from components.project import layout
from components.project.sections import Params
from components.registry import locks
from components.serving.rollout.state import BUNDLES, StateFile

_DAY_S = 86_400


class Found(NamedTuple):
    """A file or folder.

    Attributes:
        path: where it is.
        why: why it stays; empty where it does not.
        size: its bytes.
    """

    path: Path
    why: str
    size: int


def look(settings: Params, bundles: Collection[str], now: float) -> Iterator[Found]:
    """Yield what can grow there.

    Args:
        settings: ``params.yaml``.
        bundles: hashes of the bundles of versions that stay.
        now: Unix time in s.
    """
    days = settings.gc.keep_days
    served = _served()
    for path in _inside(BUNDLES):
        of_server = "a server of this folder serves it" if path.name in served else ""
        kept = "of a version that stays" if path.name in bundles else of_server
        if path.name.startswith("."):  # being downloaded, or left when that was killed
            kept = _young(path, 1, now)
        yield _found(path, kept)
    for path in _inside(layout.STATE / "runs"):
        yield _found(path, _young(path, days, now))
    for path in _inside(layout.STATE / "reproduce"):
        yield _found(path, _young(path, days, now))
    for path in _inside(layout.STATE / "resume"):
        kept = _young(path, days, now) and "a training goes on from it"
        yield _found(path, kept if path.name in settings.all_models else "")
    for memos in ("ingest", "challenge_sets", "prepare"):
        for path in _inside(layout.STATE / memos):
            yield _found(path, "the next run takes from it" if path.name in settings.datasets else "")


def remove(found: Found) -> None:
    """Remove a file or folder; the copy of a bundle under its lock, so that nobody reads it meanwhile."""
    if found.path.parent == BUNDLES and not found.path.name.startswith("."):
        with locks.of_workspace(f"bundle-{found.path.name[:16]}"):
            shutil.rmtree(found.path)
    elif found.path.is_dir():
        shutil.rmtree(found.path)
    else:
        found.path.unlink()


def _served() -> set[str]:
    """Return the bundles that a server of this folder serves, or goes back to when it starts."""
    state = StateFile().read()
    return {target.sha256 for target in (*state.champions.values(), *state.challengers.values())} | {
        state.checking
    }


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _young(path: Path, days: float, now: float) -> str:
    latest = max(one.lstat().st_mtime for one in (path, *path.rglob("*")))
    return f"younger than {days:g} days" if latest > now - days * _DAY_S else ""


def _found(path: Path, why: str) -> Found:
    size = sum(one.lstat().st_size for one in (path, *path.rglob("*")) if one.is_file())
    return Found(path, why, size)
