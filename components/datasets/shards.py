"""The tensors of a split, in safetensors files of about 1 GiB."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

SHARD_BYTES = 1 << 30
"""Images of one split beyond this go to another file."""

Layout = Mapping[str, tuple[Any, tuple[int, ...]]]
"""By a tensor's name, its dtype and the shape of one example."""


class SplitWriter:
    """Writes the shards of one split, in the order in which examples are added.

    Attributes:
        histogram: how often each value occurs in each channel of the images, int64 [C, 256]; complete when closed.
    """

    def __init__(self, folder: Path, name: str, count: int, layout: Layout) -> None:
        """Begin split ``name`` in ``folder``; ``count`` examples of ``layout`` will be added, ``images`` among it."""
        self._folder, self._name, self._layout = folder, name, layout
        sizes = [math.prod(shape) for dtype, shape in layout.values() if dtype == np.uint8]
        self._rows_per_shard = max(1, SHARD_BYTES // sum(sizes))
        self._left, self._shard = count, 0
        self._hashes = {tensor: hashlib.sha256() for tensor in layout}
        self.histogram = np.zeros((layout["images"][1][-1], 256), np.int64)
        self._begin()

    def add(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Append examples: an array [n, ...] by each name of the layout."""
        count = len(tensors["images"])
        start = 0
        while start < count:
            stop = min(count, start + len(self._tensors["images"]) - self._filled)
            end = self._filled + stop - start
            for name, values in tensors.items():
                self._tensors[name][self._filled : end] = values[start:stop]
            start, self._filled = stop, end
            if self._filled == len(self._tensors["images"]):
                self._end()

    def close(self) -> dict[str, str]:
        """Return the SHA-256 of each tensor of the whole split, however it is sharded."""
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}

    def _begin(self) -> None:
        rows = min(self._left, self._rows_per_shard)
        self._tensors = {
            name: np.empty((rows, *shape), dtype) for name, (dtype, shape) in self._layout.items()
        }
        self._filled = 0

    def _end(self) -> None:
        save_file(self._tensors, self._folder / f"{self._name}-{self._shard:05d}.safetensors")
        for name, values in self._tensors.items():
            self._hashes[name].update(values)
        for channel, counts in enumerate(self.histogram):
            counts += np.bincount(self._tensors["images"][..., channel].ravel(), minlength=256)
        self._left, self._shard = self._left - self._filled, self._shard + 1
        self._begin()
