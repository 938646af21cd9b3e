"""Who needs objects of DVC's: the workspace, commits of git, and the versions that stay."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from components.project import layout
from components.registry import bundle_copies, version_record
from components.registry.versions import Version
from data.errors import UserError
from flows.collection import references

_AT_ONCE = 8
_NONE = "none"


class Need(NamedTuple):
    """Objects that are needed, and why."""

    why: str
    objects: set[str]


def by_workspace(folder: Path) -> set[str]:
    """Return what the files of DVC's in ``folder`` name: what runs and schedules go on from."""
    return {one for file in _files(folder) for one in references.all_of(file.read_text(errors="replace"))}


def by_git(folder: Path, since: float) -> Iterator[Need]:
    """Yield what commits name: those of branches, tags, stashes and HEAD; then all after ``since``, Unix time in s.

    Raises:
        UserError: git does not tell.
    """
    tips = _git(folder, "rev-list", "--no-walk", "--all").split()  # of all worktrees, and detached ones
    recent = _git(folder, "rev-list", "--all", f"--max-age={int(since)}").split()
    seen: dict[str, set[str]] = {}
    yield Need("HEAD, branches and tags", _committed(folder, tips, seen))
    yield Need("commits younger than gc.keep_days", _committed(folder, set(recent) - set(tips), seen))


def commits(folder: Path) -> set[str]:
    """Return the commits that branches, tags, stashes and ``HEAD`` have.

    Raises:
        UserError: git does not tell.
    """
    return set(_git(folder, "rev-list", "--all").split())


def by_versions(versions: Iterable[Version]) -> set[str]:
    """Return what is needed to make registered versions again, and to find their bundles.

    Raises:
        UserError: the ``dvc.lock`` of one is out of reach, so that nobody knows.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return set().union(*threads.map(_by_version, versions))


def _by_version(version: Version) -> set[str]:
    bundle = {version.tags.get(bundle_copies.DVC_TAG, _NONE)} - {_NONE}
    if version.tags.get("dvc_lock_sha256", _NONE) == _NONE:
        return bundle
    with tempfile.TemporaryDirectory() as temporary:
        lock = (version_record.source(version, Path(temporary)) / "dvc.lock").read_text()
    return bundle | references.made_into(layout.bundle(version.name), lock)


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "artifacts"]
        yield from (Path(place, name) for name in files if _is_dvc(name))


def _is_dvc(name: str) -> bool:
    return name == "dvc.lock" or (name.endswith(".dvc") and name != ".dvc")


def _committed(folder: Path, commits: Iterable[str], seen: dict[str, set[str]]) -> set[str]:
    """Return what files of DVC's name in ``commits``; ``seen`` is what is known by the hash of a file."""
    found: set[str] = set()
    for commit in commits:
        for line in _git(folder, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
            about, _, path = line.partition("\t")
            if not _is_dvc(path.rpartition("/")[2]):
                continue
            file = about.split()[2]
            if file not in seen:
                seen[file] = references.all_of(_git(folder, "cat-file", "blob", file))
            found |= seen[file]
    return found


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", b"").decode(errors="replace").strip() or str(error)
        raise UserError(
            f"{folder}: git does not tell what commits need, so nothing is deleted: {why}"
        ) from None
    return done.stdout.decode(errors="replace")
