"""The tensors of a split, in safetensors files of about 1 GiB."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data import tensor_files
from data.tensor_files import (
    Layout,
)  # here of one example: a file's tensors have an axis of examples before it

SHARD_BYTES = 1 << 30
"""Images of one split beyond this go to another file."""


class Written(NamedTuple):
    """What was written.

    Attributes:
        hashes: by split and tensor, a SHA-256 of all its values, however they lie in files.
        total: the sum of the images' values in each channel, over the train split, int64 [C].
        squares: the sum of their squares, int64 [C].
    """

    hashes: dict[str, dict[str, str]]
    total: np.ndarray
    squares: np.ndarray


class SplitWriter:
    """Writes the shards of one split, in the order in which examples are added."""

    def __init__(self, folder: Path, name: str, count: int, layout: Layout) -> None:
        """Begin split ``name`` in ``folder``; ``count`` examples of ``layout`` will be added, ``labels`` among it."""
        self._folder, self._name, self._layout = folder, name, layout
        sizes = [math.prod(shape) for dtype, shape in layout.values() if dtype == np.uint8]
        self._rows_per_shard = max(1, SHARD_BYTES // sum(sizes)) if sizes else count
        self._left, self._written = count, 0
        self._shard: Shard | None = None
        self._hashes = {tensor: hashlib.sha256() for tensor in layout}

    def add(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Append examples: an array [n, ...] by each name of the layout."""
        tensors = {
            name: np.ascontiguousarray(tensors[name], dtype) for name, (dtype, _) in self._layout.items()
        }
        count = len(tensors["labels"])
        start = 0
        while start < count:
            shard = self._shard = self._shard or self._begin()
            stop = min(count, start + shard.room)
            shard.write({name: values[start:stop] for name, values in tensors.items()})
            start = stop
            if not shard.room:
                shard.close()
                self._shard = None
        for name, digest in self._hashes.items():
            digest.update(tensors[name])

    def close(self) -> dict[str, str]:
        """Return the SHA-256 of each tensor of the whole split, however it is sharded."""
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}

    def _begin(self) -> Shard:
        rows = min(self._left, self._rows_per_shard)
        path = self._folder / f"{self._name}-{self._written:05d}.safetensors"
        self._left, self._written = self._left - rows, self._written + 1
        return Shard(path, rows, self._layout)


class Shard:
    """A file of which each tensor grows in its place: no more than what is added is in memory."""

    def __init__(self, path: Path, rows: int, layout: Layout) -> None:
        """Begin the file ``path``, of ``rows`` examples of ``layout``."""
        header, self._places = tensor_files.begin(
            {name: (dtype, (rows, *shape)) for name, (dtype, shape) in layout.items()}
        )
        self.room = rows
        self._file = path.open("wb")
        self._file.write(header)

    def write(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Append rows, at most ``room``."""
        for name, values in tensors.items():
            self._file.seek(self._places[name])
            self._file.write(values)
            self._places[name] += values.nbytes
        self.room -= len(next(iter(tensors.values())))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()
