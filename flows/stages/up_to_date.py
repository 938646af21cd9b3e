"""Knowing in milliseconds that nothing changed since DVC last found everything up to date.

When DVC has found every stage of some models up to date, the size, modification time and inode of every file those
stages read or wrote are kept. While they all stand, DVC would say the same again, so it is not asked: these are the
marks by which DVC itself decides whether to hash a file anew. Any difference, and DVC decides.

The table of what stands is kept with them, for as long as the embedded registry's database stands too. A registry
elsewhere is asked every time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from components.project import layout
from data import atomic

CONTROL = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvc/config", ".dvcignore", "components", "flows")
"""What decides what the stages are, and what their results are taken for."""

Marks = dict[str, list | None]
"""Path to ``[[name below it, size, mtime_ns, inode], ...]``, or None when it is absent."""


class Snapshot(NamedTuple):
    """What was kept.

    Attributes:
        files: the marks under which DVC found everything up to date.
        table: as :func:`flows.retraining.summary.rows` gave it then; None where the registry must be asked.
    """

    files: Marks
    table: list[dict[str, Any]] | None


def take(paths: Iterable[Path]) -> Marks:
    """Return the marks of ``paths`` and of :data:`CONTROL` as they lie now."""
    return {str(path): _marks(path) for path in {*paths, *map(Path, CONTROL)}}


def registry() -> Marks | None:
    """Return the marks of the embedded registry as it lies now; None where another one is used."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    database = layout.MLFLOW / "mlflow.db"
    return {str(file): _marks(file) for file in (database, database.with_name("mlflow.db-wal"))}


def save(models: Iterable[str], files: Marks, registry: Marks | None, table: list[dict[str, Any]]) -> None:
    """Keep what stands for ``models``, unless something was edited since the marks were taken."""
    if _stand(files):
        atomic.write_json(_file(models), {"files": files, "registry": registry, "table": table})


def recall(models: Iterable[str]) -> Snapshot | None:
    """Return what :func:`save` last kept for ``models`` if every file lies as it did then, else None."""
    try:
        kept = json.loads(_file(models).read_text())
        files, then, table = kept["files"], kept["registry"], kept["table"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):  # none, cut short, or an older version's
        return None
    if not _stand(files):
        return None
    now = registry()
    return Snapshot(files, table if now and now == then else None)


def _stand(marks: Marks) -> bool:
    return all(_marks(Path(path)) == seen for path, seen in marks.items())


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
