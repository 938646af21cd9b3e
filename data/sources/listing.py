"""The listing of a folder of images: what tells, by ``stat`` alone, whether the folder changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError

METADATA = "metadata.jsonl"

SUFFIXES = frozenset({".bmp", ".gif", ".heic", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings that claim an image. Some claim a format that is not decoded: those are then reported."""


@dataclass(frozen=True, order=True)
class Entry:
    """One file: path relative to the folder, ``/`` between parts; size in bytes; change time in ns."""

    path: str
    size: int
    modified: int


@dataclass(frozen=True)
class Changes:
    """What differs between two listings; paths are sorted."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        kinds = {"added": self.added, "removed": self.removed, "changed": self.changed}
        return "; ".join(
            f"{len(paths):,} {kind} (first: {printable(paths[0])})" for kind, paths in kinds.items() if paths
        )


def scan(folder: Path, files: Iterable[Path] = ()) -> list[Entry]:
    """List the images and metadata files of ``folder`` and the folders in it, sorted. Nothing is opened.

    Links are followed. Hidden files and files of other kinds are left out, but for ``files``, which tell of the
    images and may lie elsewhere.

    Raises:
        UserError: ``folder`` is no folder, a folder in it cannot be listed, or one of ``files`` is not there.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder.")
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: no such file.")
    told = (_entry(file, Path(os.path.relpath(file, folder)).as_posix()) for file in files)
    return sorted([*_walk(folder, folder, frozenset()), *told])


def fingerprint(entries: list[Entry]) -> str:
    """Return the SHA-256 of a listing, whatever the order of its entries."""
    lines = (f"{entry.path}\0{entry.size}\0{entry.modified}\n" for entry in sorted(entries))
    return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()


def compare(old: list[Entry], new: list[Entry]) -> Changes | None:
    """Return what changed from ``old`` to ``new``, or None."""
    before, after = {entry.path: entry for entry in old}, {entry.path: entry for entry in new}
    changes = Changes(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(path for path in before.keys() & after.keys() if before[path] != after[path])),
    )
    return changes if changes.added or changes.removed or changes.changed else None


def printable(path: str) -> str:
    """Return ``path`` as text that any file can hold: bytes that are no UTF-8 are written as ``\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _walk(folder: Path, root: Path, above: frozenset[tuple[int, int]]) -> Iterator[Entry]:
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:  # A link to a folder that it lies in.
        return
    try:
        items = sorted(os.scandir(folder), key=lambda item: item.name)
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}.") from None
    for item in items:
        if item.name.startswith("."):
            continue
        path = Path(item.path)
        if item.is_dir():
            yield from _walk(path, root, above | {identity})
        elif item.name == METADATA or path.suffix.lower() in SUFFIXES:
            # A dangling link has no target to stat: the link itself is listed, and ingest says it cannot be
            # read.
            yield _entry(path, path.relative_to(root).as_posix())


def _entry(path: Path, name: str) -> Entry:
    status = path.stat(follow_symlinks=path.is_file())
    return Entry(name, status.st_size, status.st_mtime_ns)
