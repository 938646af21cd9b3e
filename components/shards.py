"""The tensors of a split, in safetensors files of about 1 GiB."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from data.spec import ImageSpec

SHARD_BYTES = 1 << 30
"""Images of one split beyond this go to another file."""


class SplitWriter:
    """Writes the shards of one split, in the order in which examples are added.

    Attributes:
        histogram: how often each value occurs in each channel, int64 [C, 256]; complete when closed.
    """

    def __init__(self, folder: Path, name: str, count: int, image: ImageSpec) -> None:
        """Begin split ``name`` in ``folder``; ``count`` examples of shape ``image`` will be added."""
        self._folder, self._name, self._image = folder, name, image
        self._rows_per_shard = max(1, SHARD_BYTES // (image.height * image.width * image.channels))
        self._left, self._shard = count, 0
        self._images_hash, self._labels_hash = hashlib.sha256(), hashlib.sha256()
        self.histogram = np.zeros((image.channels, 256), np.int64)
        self._begin()

    def add(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Append examples: uint8 [n, H, W, C] and the indices of their classes [n]."""
        while len(images):
            room = len(self._images) - self._filled
            end = self._filled + min(room, len(images))
            self._images[self._filled : end] = images[:room]
            self._labels[self._filled : end] = labels[:room]
            images, labels, self._filled = images[room:], labels[room:], end
            if self._filled == len(self._images):
                self._end()

    def close(self) -> dict[str, str]:
        """Return the SHA-256 of all images and of all labels of the split, however they are sharded."""
        return {"images": self._images_hash.hexdigest(), "labels": self._labels_hash.hexdigest()}

    def _begin(self) -> None:
        rows = min(self._left, self._rows_per_shard)
        self._images = np.empty((rows, self._image.height, self._image.width, self._image.channels), np.uint8)
        self._labels = np.empty(rows, np.int64)
        self._filled = 0

    def _end(self) -> None:
        path = self._folder / f"{self._name}-{self._shard:05d}.safetensors"
        save_file({"images": self._images, "labels": self._labels}, path)
        self._images_hash.update(self._images)
        self._labels_hash.update(self._labels)
        for channel, counts in enumerate(self.histogram):
            counts += np.bincount(self._images[..., channel].ravel(), minlength=256)
        self._left, self._shard = self._left - self._filled, self._shard + 1
        self._begin()
