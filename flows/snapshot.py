"""Knowing in milliseconds that nothing changed since DVC last found everything up to date.

When DVC has found every stage of some models up to date, the size, modification time and inode of every file those
stages read or wrote are kept. While they all stand, DVC would say the same again, so it is not asked: these are the
marks by which DVC itself decides whether to hash a file anew. Any difference, and DVC decides.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from components import layout
from data import atomic

CONTROL = (Path("dvc.yaml"), Path("dvc.lock"), Path("params.yaml"), Path(".dvc/config"), Path(".dvcignore"))
"""Files that decide what the stages are."""

Marks = dict[str, list | None]
"""Path to ``[[name below it, size, mtime_ns, inode], ...]``, or None when it is absent."""


def take(paths: Iterable[Path]) -> Marks:
    """Return the marks of ``paths`` and of the control files as they lie now."""
    return {str(path): _marks(path) for path in {*paths, *CONTROL}}


def save(models: Iterable[str], marks: Marks) -> None:
    """Keep ``marks``, under which DVC found every stage of ``models`` up to date."""
    atomic.write_json(_file(models), marks)


def holds(models: Iterable[str]) -> bool:
    """Whether everything lies as it did when :func:`save` was last called for ``models``."""
    try:
        seen = json.loads(_file(models).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return all(_marks(Path(path)) == marks for path, marks in seen.items())


def _file(models: Iterable[str]) -> Path:
    key = hashlib.sha256(" ".join(sorted(models)).encode()).hexdigest()[:16]
    return layout.STATE / "up-to-date" / f"{key}.json"


def _marks(path: Path) -> list | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not path.is_dir():
        return [["", status.st_size, status.st_mtime_ns, status.st_ino]]
    return sorted(_walk(str(path), ""))


def _walk(folder: str, below: str) -> Iterator[list]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == "__pycache__":
                continue
            name = f"{below}/{entry.name}"
            if entry.is_dir():
                yield from _walk(entry.path, name)
            else:
                status = entry.stat()
                yield [name, status.st_size, status.st_mtime_ns, status.st_ino]
