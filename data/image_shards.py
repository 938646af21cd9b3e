"""Encoded images in shards: safetensors files that hold whole image files, one after the other.

A shard has two tensors::

    offsets  int64 [n + 1]   image i is bytes[offsets[i] : offsets[i + 1]]
    bytes    uint8 [total]   JPEG, PNG or WebP files, as they were found

The same contents give the same bytes of the shard, so it can be linked, copied and hashed like any other file.
"""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data import tensor_files
from data.errors import UserError

OPEN_FILES = 64
"""How many shards a reader holds open; the one that was not read for longest is closed for another."""

_LONGEST_HEADER = 1 << 20


def write(path: Path, contents: Sequence[bytes]) -> None:
    """Write a shard of ``contents``; one that is empty is kept, as an image of no bytes.

    What must be whole or absent is written into a folder or file of ``data/atomic.py``.
    """
    offsets = np.array(list(accumulate(map(len, contents), initial=0)), "<i8")
    layout = {"offsets": (np.int64, offsets.shape), "bytes": (np.uint8, (int(offsets[-1]),))}
    header, _ = tensor_files.begin(layout)
    with path.open("wb") as file:
        file.write(header)
        file.write(offsets.tobytes())
        file.writelines(contents)


class EncodedImages(Sequence[bytes]):
    """The images of several shards under one index, read from the files when they are asked for.

    Nothing is held in memory but the places of the images in the shards that are open. May be used by many threads.
    """

    def __init__(self, paths: Sequence[Path], open_files: int = OPEN_FILES) -> None:
        """Look at the headers of ``paths``.

        Raises:
            UserError: a file is not there, is no shard of images, or is cut short.
        """
        self.paths = tuple(paths)
        self._headers = [_header(path) for path in self.paths]
        self._ends = np.cumsum([header.count for header in self._headers], dtype=np.int64)
        self._open: OrderedDict[int, _Shard] = OrderedDict()
        self._limit, self._lock = open_files, threading.Lock()

    @property
    def nbytes(self) -> int:
        """How many bytes the images are, all together."""
        return sum(header.nbytes for header in self._headers)

    @property
    def starts(self) -> np.ndarray:
        """The index of the first image of each shard, int64 [S]."""
        return self._ends - [header.count for header in self._headers]

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.paths else 0

    def __getitem__(self, index: int) -> bytes:
        """Return the bytes of image ``index``, in [0, N).

        Raises:
            IndexError: there is none.
            UserError: the shard changed since it was opened.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self._shard(number).read(index - (int(self._ends[number]) - self._headers[number].count))

    def where(self, index: int) -> tuple[Path, int]:
        """Return the shard of image ``index`` and its place in it, for messages."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self.paths[number], index - (int(self._ends[number]) - self._headers[number].count)

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))

    def _shard(self, number: int) -> _Shard:
        with self._lock:
            shard = self._open.pop(number, None) or _Shard(self.paths[number], self._headers[number])
            self._open[number] = shard
            if len(self._open) > self._limit:
                self._open.popitem(last=False)  # closed when the last thread that reads it is done
            return shard


class _Header(NamedTuple):
    """Where the tensors of a shard lie.

    Attributes:
        count: images in it.
        nbytes: their bytes.
        start: where ``offsets`` begins in the file, in bytes; ``bytes`` follows it.
    """

    count: int
    nbytes: int
    start: int


class _Shard:
    """An open shard. It reads and maps nothing: pages of a map would count as the memory of the process."""

    def __init__(self, path: Path, header: _Header) -> None:
        self._path, self._file = path, path.open("rb", buffering=0)
        size = 8 * (header.count + 1)
        self._offsets = np.frombuffer(self._read(header.start, size), "<i8")
        if self._offsets[0] != 0 or self._offsets[-1] != header.nbytes or (np.diff(self._offsets) < 0).any():
            raise UserError(f"{path}: offsets: do not divide its {header.nbytes:,} bytes into images.")
        self._bytes = header.start + size

    def read(self, row: int) -> bytes:
        start, stop = int(self._offsets[row]), int(self._offsets[row + 1])
        return self._read(self._bytes + start, stop - start)

    def _read(self, start: int, size: int) -> bytes:
        content = os.pread(self._file.fileno(), size, start)
        if len(content) != size:
            raise UserError(f"{self._path}: changed while it was read: it ends before byte {start + size:,}.")
        return content


def _header(path: Path) -> _Header:
    with _opened(path) as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            tensors = json.loads(file.read(min(length, _LONGEST_HEADER)))
            (rows,), (size,) = tensors["offsets"]["shape"], tensors["bytes"]["shape"]
            laid = [tensors[name]["data_offsets"] for name in ("offsets", "bytes")]
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}: is no shard of images: its header is damaged.") from None
        found = os.fstat(file.fileno()).st_size
    expected = 8 + length + 8 * rows + size
    if rows < 1 or laid != [[0, 8 * rows], [8 * rows, 8 * rows + size]]:
        raise UserError(f"{path}: is no shard of images: its tensors are laid out in another way.")
    if found != expected:
        raise UserError(f"{path}: has {found:,} bytes, and its header tells of {expected:,}.")
    return _Header(rows - 1, size, 8 + length)


def _opened(path: Path):
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise UserError(f"{path}: this shard of images is not there.") from None
