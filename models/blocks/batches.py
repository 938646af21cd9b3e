"""Batches of a split on the training device: from memory there when the split fits, else streamed."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from data import ahead, at_once, cores
from data.arrays import Array
from data.prepared import Split
from models import ranks

AHEAD = 3
"""Streamed batches that are on their way while one is being computed on."""

READERS = 2
"""Threads that bring batches to memory: while one waits for its last example, the other has begun the next batch."""

HELD = 256 << 20
"""Bytes of pictures that a training on the CPU holds in memory, where they do not lie in one file as they are."""

_CHUNK = 256

Order = Callable[[int, int, int], Tensor]
"""(number of examples, seed, epoch) -> int64 of the same number: which of them the epoch shows, in turn."""

ChangeAt = Callable[[Tensor, int], Tensor]
"""(image uint8 [H, W, C] on the CPU, its place in the order) -> the same shape, the same one in any thread."""


def order(num: int, seed: int, epoch: int) -> Tensor:
    """Return int64 [num]: the order of ``num`` examples in an epoch, from the seed and its number alone."""
    return torch.randperm(num, generator=generator(seed, epoch))


def generator(*numbers: int) -> torch.Generator:
    """Return a generator on the CPU whose draws follow from ``numbers``, such as seed and epoch."""
    # A hash, because the CPU's generator takes 32 bits of a seed only.
    digest = hashlib.sha256(" ".join(map(str, numbers)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))


class Batches:
    """Gives batches of a split on ``device``.

    A split that takes at most ``limit`` bytes lives on the device; a larger one is read batch by batch by threads
    that run ahead, through pinned memory, so that reading, decoding and copying overlap computing. Both give the
    same batches, which follow from ``order`` alone. ``tensors`` names the split's tensors that a batch is of.
    """

    def __init__(
        self,
        split: Split,
        device: torch.device,
        limit: int | None = None,
        tensors: tuple[str, ...] = ("images", "labels"),
    ) -> None:
        self.split, self.device = split, device
        self._arrays = [getattr(split, name) for name in tensors]
        limit = _room(device, self._arrays) if limit is None else limit
        self.resident = sum(array.nbytes for array in self._arrays) <= limit
        if self.resident:
            self._tensors = [_held(array, device) for array in self._arrays]

    def __len__(self) -> int:
        return len(self.split)

    def read(self, order: Tensor, size: int, change: ChangeAt | None = None) -> Iterator[tuple[Tensor, ...]]:
        """Yield the examples ``order`` (int64 on the CPU), ``size`` at a time; images as ``change`` makes them.

        Yields:
            images uint8 [size, H, W, C] and labels int64 [size] (or what ``tensors`` names), on the device; the last
            batch may be smaller.
        """
        chunks = order.split(size)
        if self.resident and change is None:
            for chunk in chunks:
                index = chunk.to(self.device)
                yield tuple(tensor[index] for tensor in self._tensors)
        else:
            yield from self._stream(chunks, change)

    def in_order(self, most: int) -> Iterator[tuple[Tensor, ...]]:
        """Yield all in their order, at most ``most`` at a time; of large pictures fewer (:mod:`data.at_once`)."""
        size = at_once.pictures(self.split.images.shape[1:], most)
        yield from self.read(torch.arange(len(self)), size)

    def _stream(self, chunks: tuple[Tensor, ...], change: ChangeAt | None) -> Iterator[tuple[Tensor, ...]]:
        def gather(chunk: tuple[int, Tensor]) -> tuple[Tensor, ...]:
            first, index = chunk
            images, *others = self._rows(index)
            if change is not None:
                changed = _pool().map(change, images, range(first, first + len(images)))
                images = torch.stack(list(changed))
            batch = (images, *others)
            return tuple(tensor.pin_memory() for tensor in batch) if self.device.type == "cuda" else batch

        firsts = itertools.accumulate(map(len, chunks), initial=0)
        numbered = zip(firsts, chunks, strict=False)
        for batch in ahead.results(gather, numbered, threads=READERS, waiting=AHEAD):
            yield tuple(tensor.to(self.device, non_blocking=True) for tensor in batch)

    def _rows(self, index: Tensor) -> tuple[Tensor, ...]:
        """Return the examples ``index`` of the split, in the CPU's memory."""
        if self.resident:
            return tuple(tensor[index.to(self.device)].cpu() for tensor in self._tensors)
        return tuple(torch.from_numpy(array[index.numpy()]) for array in self._arrays)


def _held(array: Array, device: torch.device) -> Tensor:
    """Bring all of ``array`` to ``device``; what lies in files by some rows at a time."""
    if isinstance(array, np.ndarray):
        return torch.as_tensor(array).to(device)
    held = torch.empty(array.shape, dtype=torch.from_numpy(array[:0]).dtype, device=device)
    for start in range(0, len(array), _CHUNK):
        held[start : start + _CHUNK] = torch.from_numpy(array[start : start + _CHUNK])
    return held


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads that change images, one on each core."""
    return ThreadPoolExecutor(cores.available(), "change")


@dataclass(frozen=True)
class Part:
    """What is computed on together.

    Attributes:
        tensors: some rows of a batch: images, and what belongs to them.
        share: which of all that the ranks compute on at the same time.
        weight: how much of the whole batch it is.
    """

    tensors: tuple[Tensor, ...]
    share: ranks.Share
    weight: float


def parts(total: int, *tensors: Tensor) -> Iterator[Part]:
    """Yield this rank's rows of a batch in the parts that are computed on together (:mod:`data.at_once`).

    One alone where the pictures are not large. All ranks have as many parts, and none that is empty.

    Args:
        total: rows of the batch, of all ranks.
        tensors: this rank's rows: images [N, C, H, W], and what belongs to them.
    """
    rows = [share.rows for share in ranks.shares(total)]
    together = at_once.pictures(tensors[0].shape[1:], max(rows))
    # As equal as can be: a last part of a single picture would be too few for a batch norm.
    number = min(-(-max(rows) // together), min(rows))
    sizes = [[of_rank // number + (place < of_rank % number) for place in range(number)] for of_rank in rows]
    own = sizes[ranks.number()]
    split = zip(*(tensor.split(own) for tensor in tensors), strict=True)
    for size, of_ranks, part in zip(own, zip(*sizes, strict=True), split, strict=True):
        first = sum(of_ranks[: ranks.number()])
        yield Part(part, ranks.Share(first, size, sum(of_ranks)), size / total)


def _room(device: torch.device, arrays: Sequence[Array]) -> int:
    """Return how many bytes a split may take on ``device``: half of what is free, the rest is for the training."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free // 2
    # A memory map of a file is in the CPU's reach as it is.
    return sys.maxsize if all(isinstance(array, np.ndarray) for array in arrays) else HELD
