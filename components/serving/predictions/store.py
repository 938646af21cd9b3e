"""The prediction log of a model on the disk: Parquet files in one folder, the oldest first by name.

    .darkroom/predictions/MODEL/1789000000000000.parquet                  written by the recorder, once a minute
    .darkroom/predictions/MODEL/1789000000000000-1789003600000000.parquet  many of these, joined
    .darkroom/predictions/MODEL/deleted/HASH.json                          a request that is to be forgotten

A file is written beside its name and renamed, so that readers see whole ones. Names are microseconds since the epoch.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.project.layout import PREDICTIONS
from data import atomic

_TENSORS = pa.list_(
    pa.struct(
        [
            ("name", pa.string()),
            ("datatype", pa.string()),
            ("shape", pa.list_(pa.int64())),
            ("data", pa.binary()),
        ]
    )
)
SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us", tz="UTC")),
        ("request_id", pa.string()),
        ("model", pa.string()),
        ("version", pa.string()),
        ("bundle_sha256", pa.string()),
        ("reason", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("confidence", pa.float32()),
        ("outputs", _TENSORS),
        ("inputs", _TENSORS),
    ]
)
"""A row of the log: a request. ``labels`` has the likeliest class of each of its images, ``confidence`` that of the
least certain one; ``inputs`` is missing where only answers are kept."""

JOINED = 60
"""Small files that are joined to one."""
_DAY_US = 86_400_000_000


class Store:
    """The log of one model."""

    def __init__(self, model: str, max_bytes: float, days: float) -> None:
        """Open the log; what a killed process left half done is brought to its end."""
        self._folder, self._max_bytes, self._days = PREDICTIONS / model, max_bytes, days
        self._last = 0
        for joined in self._folder.glob("*-*.parquet"):
            for file in list(self.files()):
                if file != joined and joined.stem.split("-")[0] <= file.stem <= joined.stem.split("-")[1]:
                    file.unlink()
        for half in self._folder.glob(".*.tmp"):
            half.unlink()

    def files(self) -> Iterator[Path]:
        """Yield its files, the oldest first."""
        yield from sorted(self._folder.glob("*.parquet"))

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(file.stat().st_size for file in self.files())

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows as a file, and let the oldest go where there are too many bytes or days.

        Raises:
            OSError: the disk is full, or cannot be written.
        """
        self._last = max(self._last + 1, time.time_ns() // 1000)
        _write(_table(rows), self._folder / f"{self._last:016d}.parquet")
        self.shrink()

    def shrink(self) -> None:
        """Remove the oldest files beyond the bounds, and join small ones."""
        oldest = time.time_ns() // 1000 - self._days * _DAY_US
        files = [(file, file.stat().st_size) for file in self.files()]
        size = sum(each for _, each in files)
        for file, each in files:
            if size <= self._max_bytes and int(file.stem.split("-")[-1]) >= oldest:
                break
            file.unlink()
            size -= each
        self._join()

    def forget(self, ids: Collection[str]) -> None:
        """Remove the rows of requests."""
        for file in list(self.files()):
            found = pq.read_table(file, columns=["request_id"])["request_id"]
            if pc.any(gone := pc.is_in(found, pa.array(list(ids), pa.string()))).as_py():
                kept = pq.read_table(file).filter(pc.invert(gone))
                if kept.num_rows:
                    _write(kept, file)
                else:
                    file.unlink()

    def _join(self) -> None:
        small = [file for file in self.files() if "-" not in file.stem]
        if len(small) < JOINED:
            return
        path = self._folder / f"{small[0].stem}-{small[-1].stem}.parquet"
        with (
            atomic.file(path) as temporary,
            pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as joined,
        ):
            for file in small:  # one after another: memory holds one
                joined.write_table(pq.read_table(file, schema=SCHEMA))
        for file in small:
            file.unlink()


def _table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Return rows as a table, column by column, which is faster than what ``Table.from_pylist`` does."""
    columns = []
    for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True):
        values = [row[name] for row in rows]
        columns.append(_tensors(values) if kind == _TENSORS else pa.array(values, kind))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _tensors(values: Sequence[list[dict[str, Any]] | None]) -> pa.ListArray:
    """Return a column of lists of tensors; None is for none."""
    flat = [tensor for tensors in values for tensor in tensors or ()]
    entry = _TENSORS.value_type
    parts = [pa.array([tensor[part.name] for tensor in flat], part.type) for part in entry]
    ends = [0, *itertools.accumulate(len(tensors or ()) for tensors in values)]
    offsets = pa.array(ends, pa.int32(), mask=np.array([tensors is None for tensors in values] + [False]))
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(parts, fields=list(entry)))


def _write(table: pa.Table, path: Path) -> None:
    with atomic.file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
