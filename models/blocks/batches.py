"""Batches of a split on the training device: from memory there when the split fits, else streamed."""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from data.prepared import Split

AHEAD = 3
"""Streamed batches that are on their way while one is being computed on."""


def order(num: int, seed: int, epoch: int) -> Tensor:
    """Return int64 [num]: the order of ``num`` examples in an epoch, from the seed and its number alone."""
    # A hash, because the CPU's generator takes 32 bits of a seed only.
    digest = hashlib.sha256(f"{seed} {epoch}".encode()).digest()
    return torch.randperm(num, generator=torch.Generator().manual_seed(int.from_bytes(digest[:4], "little")))


class Batches:
    """Gives batches of a split on ``device``.

    A split that takes at most ``limit`` bytes lives on the device; a larger one is read batch by batch from the
    memory map by a thread that runs ahead, through pinned memory, so that copying overlaps computing. Both give
    the same batches.
    """

    def __init__(self, split: Split, device: torch.device, limit: int | None = None) -> None:
        self.split, self.device = split, device
        limit = _room(device) if limit is None else limit
        self.resident = split.images.nbytes <= limit
        if self.resident:
            self._images = torch.as_tensor(split.images).to(device)
            self._labels = torch.as_tensor(split.labels).to(device)

    def __len__(self) -> int:
        return len(self.split)

    def read(self, order: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the examples ``order`` (int64 on the CPU), ``size`` at a time.

        Yields:
            images uint8 [size, H, W, C] and labels int64 [size], on the device; the last batch may be smaller.
        """
        chunks = order.split(size)
        if self.resident:
            for chunk in chunks:
                index = chunk.to(self.device)
                yield self._images[index], self._labels[index]
        else:
            yield from self._stream(chunks)

    def _stream(self, chunks: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        with ThreadPoolExecutor(1, "batches") as reader:
            coming: deque[Future] = deque()
            for chunk in chunks:
                coming.append(reader.submit(self._gather, chunk.numpy()))
                if len(coming) > AHEAD:
                    yield self._send(coming.popleft())
            while coming:
                yield self._send(coming.popleft())

    def _gather(self, index: np.ndarray) -> tuple[Tensor, Tensor]:
        pair = torch.from_numpy(self.split.images[index]), torch.from_numpy(self.split.labels[index])
        if self.device.type == "cuda":
            return pair[0].pin_memory(), pair[1].pin_memory()
        return pair

    def _send(self, pair: Future) -> tuple[Tensor, Tensor]:
        images, labels = pair.result()
        return images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


def _room(device: torch.device) -> int:
    """Return how many bytes a split may take on ``device``: half of what is free, the rest is for the training."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free // 2
    return sys.maxsize  # the memory map is in the CPU's reach as it is
