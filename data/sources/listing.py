"""The listing of a folder of images: what tells, by ``stat`` alone, whether the folder changed."""

from __future__ import annotations

import hashlib
import heapq
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError
from data.sources.names import Names

METADATA = frozenset({"metadata.jsonl", "metadata.csv", "metadata.parquet"})
"""Names of files that tell of images, in lower case; the last is known so that it can be refused."""

SUFFIXES = frozenset(
    {".bmp", ".gif", ".heic", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"}
)
"""Endings that claim an image. Some claim a format that is not decoded: those are then reported."""

_LISTED = SUFFIXES | {"", ".avif", ".heif"}
"""Endings of what metadata may name: a change of such a file is a change of the data."""


@dataclass(frozen=True, order=True, slots=True)
class Entry:
    """One file: path relative to the folder, ``/`` between parts; size in bytes; change time in ns."""

    path: str
    size: int
    modified: int


class Listing(Sequence[Entry]):
    """Files in the order of their paths, close together: some fifty bytes each, since there may be millions.

    Attributes:
        paths: as of :class:`Entry`.
        modified: likewise.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Take ``entries``, which are sorted."""
        self.paths, self._sizes, self.modified = Names(), array("q"), array("q")
        for entry in entries:
            self.paths.append(entry.path)
            self._sizes.append(entry.size)
            self.modified.append(entry.modified)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Entry:
        """Return file ``index``, in [0, N)."""
        return Entry(self.paths[index], self._sizes[index], self.modified[index])

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry, self.paths, self._sizes, self.modified)


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


def scan(folder: Path, files: Iterable[Path] = ()) -> Listing:
    """Return all that :func:`entries` finds, with its errors."""
    return Listing(entries(folder, files))


def entries(folder: Path, files: Iterable[Path] = ()) -> Iterator[Entry]:
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
    # A dangling link is listed, too, and ingest says that it cannot be read.
    own = (
        _entry(item, path)
        for path, item in _walk(folder, "", frozenset())
        if is_metadata(path) or suffix(path) in _LISTED
    )
    return heapq.merge(own, sorted(told))


def unused(folder: Path, used: Iterable[str]) -> dict[str, int]:
    """Count the files of ``folder`` that are not ``used`` (printable paths relative to it), by what they are.

    Returns:
        ``{".heif": 7, "without an ending": 5}``, the most first. Metadata and hidden files are not counted.
    """
    known = set(used)
    paths = (path for path, _ in _walk(folder, "", frozenset()) if not is_metadata(path))
    counts = Counter(_kind(path) for path in paths if printable(path) not in known)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def listed(left_out: dict[str, int]) -> str:
    """Return ``12 left out: 7 .heif, 5 without an ending``."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in left_out.items())
    return f"{sum(left_out.values()):,} left out: {kinds}"


def is_metadata(path: str) -> bool:
    """Return whether a file of this path tells of images, by its name."""
    return path.rsplit("/", 1)[-1].lower() in METADATA


def suffix(path: str) -> str:
    """Return the ending of a path in lower case, with its dot; empty without one."""
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def fingerprint(entries: Sequence[Entry]) -> str:
    """Return the SHA-256 of a listing, whatever the order of its entries."""
    return fingerprint_in_order(entries if isinstance(entries, Listing) else sorted(entries))


def fingerprint_in_order(entries: Iterable[Entry]) -> str:
    """Return the same of entries that come in the order of their paths, of which none is kept."""
    found = hashlib.sha256()
    for entry in entries:
        found.update(os.fsencode(f"{entry.path}\0{entry.size}\0{entry.modified}\n"))
    return found.hexdigest()


def compare(old: Sequence[Entry], new: Sequence[Entry]) -> Changes | None:
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
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def _kind(path: str) -> str:
    ending = suffix(path)
    if ending in SUFFIXES:
        return f"{ending} that nothing lists"
    return printable(ending) or "without an ending"


def _walk(
    folder: str | Path, prefix: str, above: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the paths of all files below ``folder`` but hidden ones, each after ``prefix``, in the order of paths."""
    status = Path(folder).stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:  # A link to a folder that it lies in.
        return
    try:
        with os.scandir(folder) as found:
            # As in paths, so that "a-b/1" comes before "a/1".
            items = sorted((f"{item.name}/" if item.is_dir() else item.name, item) for item in found)
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}.") from None
    for name, item in items:
        if name.startswith("."):
            continue
        if name.endswith("/"):
            yield from _walk(item.path, prefix + name, above | {identity})
        else:
            yield prefix + name, item


def _entry(file: Path | os.DirEntry[str], name: str) -> Entry:
    try:
        status = file.stat()
    except OSError:  # A link to nothing, or to what may not be looked at: the link itself is listed.
        status = file.stat(follow_symlinks=False)
    return Entry(name, status.st_size, status.st_mtime_ns)
