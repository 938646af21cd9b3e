"""Writes the parts of an ``ingest`` folder: stable ones, so that a night's new images leave the old parts as they are.

Examples come in the order of time. Where a part ends is told by the contents since its beginning and by nothing else
(the idea is "content-defined chunking": Muthitacharoen, Chen and Mazieres, A Low-bandwidth Network File System, 2001,
section 3.1). So a change moves the ends that follow it only as far as the next end that it does not reach, and the same
examples give the same files, whatever was there before.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.datasets import arrow
from components.datasets.manifest import IMAGES, MANIFEST, PLACES, SCHEMA, SHARDS
from data import image_shards

MEAN_ROWS = 256
"""Examples of a part in the mean, where they are small."""

MEAN_BYTES = 16 << 20
"""Bytes of a part in the mean, where examples are large."""

MOST_ROWS, MOST_BYTES = 16 * MEAN_ROWS, 4 * MEAN_BYTES
"""A part that reached one of them ends, whatever its contents are."""


@dataclass(frozen=True)
class Part:
    """One part: the names of its files, and how many examples it has. ``shard`` is None where it has no content."""

    rows: str
    shard: str | None
    count: int


class PartWriter:
    """Writes the parts of a folder as the examples come; one part is in memory at a time.

    Attributes:
        parts: those that are written.
    """

    def __init__(self, folder: Path, schema: pa.Schema = SCHEMA, kinds: tuple[str, ...] = (IMAGES,)) -> None:
        """Begin in ``folder``, which exists and is empty; ``kinds`` of ``PLACES`` are what an example has."""
        self._folder, self._schema, self._kinds = folder, schema, kinds
        self.parts: list[Part] = []
        self._rows: list[dict] = []
        self._contents: list[bytes] = []
        self._bytes = 0
        for name in (MANIFEST, SHARDS):
            (folder / name).mkdir()

    @property
    def at_start(self) -> bool:
        """Whether the next example begins a part."""
        return not self._rows

    def add(self, row: dict, *contents: bytes | None) -> None:
        """Append a row of the manifest and its contents, one of each kind."""
        row = dict(row)
        size = 0
        for kind, content in zip(self._kinds, contents, strict=True):
            if content is not None:
                row[PLACES[kind]] = len(self._contents)
                self._contents.append(content)
                size += len(content)
        self._rows.append(row)
        self._bytes += size
        if len(self._rows) >= MOST_ROWS or self._bytes >= MOST_BYTES or _ends(row["sha256"], size):
            self._write()

    def link(self, part: Part, source: Path) -> None:
        """Take over a part of the folder ``source``, which the next examples are the examples of."""
        for folder, name in ((MANIFEST, part.rows), (SHARDS, part.shard)):
            if name is not None:
                link(source / folder / name, self._folder / folder / name)
        self.parts.append(part)

    def close(self) -> None:
        """Finish the last part; a folder without an example has one of no rows."""
        if self._rows or not self.parts:
            self._write()

    def _write(self) -> None:
        shard = self._write_shard() if self._contents else None
        for row in self._rows:
            row["shard"] = shard if any(row.get(PLACES[kind]) is not None for kind in self._kinds) else None
        unnamed = self._folder / MANIFEST / ".part"
        # Contents and hashes do not repeat: dictionaries and statistics would only cost time.
        pq.write_table(
            arrow.table(self._rows, self._schema),
            unnamed,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
            write_statistics=False,
        )
        self.parts.append(Part(name_by_content(unnamed, ".parquet"), shard, len(self._rows)))
        self._rows, self._contents, self._bytes = [], [], 0

    def _write_shard(self) -> str:
        unnamed = self._folder / SHARDS / ".part"
        image_shards.write(unnamed, self._contents)
        return name_by_content(unnamed, ".safetensors")


def link(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``, or a copy where the two cannot be one."""
    try:
        os.link(source, target)
    except FileExistsError:  # Two shards of the same contents are one file.
        return
    except OSError:  # Another file system, or one without hard links.
        shutil.copyfile(source, target)


def digest(path: Path) -> str:
    """Return the name of a file of a part without its ending: half of its SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def name_by_content(unnamed: Path, ending: str) -> str:
    """Give a file the name of its content, :func:`digest` and ``ending``; return the name."""
    name = f"{digest(unnamed)}{ending}"
    unnamed.replace(unnamed.with_name(name))
    return name


def _ends(sha256: str | None, size: int) -> bool:
    """Whether an example ends its part: one in ``MEAN_ROWS`` does, and a large one the more often the larger it is."""
    if sha256 is None:
        return False
    return int(sha256[:12], 16) * MEAN_BYTES < max(MEAN_BYTES // MEAN_ROWS, size) << 48
