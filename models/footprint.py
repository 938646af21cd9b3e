"""What memory a training will need, told before it starts, and refused where it is not there.

A family that is fitted by other means than steps down a gradient says it by its ``footprint``. Of all others two steps
are rehearsed, on two examples, and what they hold is measured and brought to the batch's size.
"""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import models
from data import at_once, memory
from data.errors import UserError
from data.prepared import DataSpec, PreparedData
from models.run import Run
from models.settings import Settings

PROGRAM = 750 * 2**20
"""Bytes of a process that has loaded PyTorch and nothing else, measured on Linux."""
EXAMPLES = 2, 4
"""Of a rehearsed step, in turn: what the second takes more grows with the batch."""
STEPS = 2
"""Of a rehearsal."""
COPIES = 5
"""Of the weights, while a network is trained: themselves, gradient, two means of it, and an average."""
GAPS = 0.1
"""Share of a GPU's free memory that a batch must leave."""
POWERS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Batches that are tried. A batch norm, and a step of an adversarial training, need two examples."""
STEPS_IN_EPOCH = 16
"""At least: with fewer the learning rate would have no time to rise and to fall."""
WAITING = 8
"""Bytes of each number of a batch beside what is computed on: itself, as it was read, and of three batches ahead."""
LEVERS = ("batch_size", "landmarks", "components", "covariance", "autoencoder_widths", "widths", "width")
"""Settings by which families get smaller."""


@dataclass(frozen=True)
class Footprint:
    """What a training needs, in bytes.

    Attributes:
        program: of a process without any data.
        fit: of all that is computed. Pictures that lie in files as they are need none: the system holds what it has
            room for.
    """

    program: int
    fit: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.program + self.fit

    def __str__(self) -> str:
        return f"about {told(self.total)} of memory, {told(self.program)} of them for the program itself"


def told(size: int) -> str:
    """Return a number of bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def of(family: ModuleType, config: Settings, data: PreparedData, device: torch.device) -> Footprint:
    """Return what ``family`` needs to be trained on ``data``, within a factor of two.

    Of a family that starts from another's weights it is what that one needed: what it trains is a part of the same.
    """
    family, config = _trained_as(family, config)
    if hasattr(family, "footprint"):
        fit = family.footprint(config, data.spec, len(data.train))
    else:
        fit = _rehearsed(family, config, data, device)
    return Footprint(PROGRAM, fit)


def _trained_as(family: ModuleType, config: Settings) -> tuple[ModuleType, Settings]:
    """Return whose steps a training's are, and their settings: its own, or those of what it starts from."""
    if not hasattr(family, "BASE"):
        return family, config
    return models.family(family.BASE), config.base.model_copy(update={"batch_size": config.batch_size})


def require(
    family: ModuleType, config: Settings, data: PreparedData, device: torch.device, where: str
) -> str:
    """Return a line that says what the training needs.

    Raises:
        UserError: the machine has not so much; the message begins with ``where``, the model's key, and names what to
            change.
    """
    room = _room(device)
    weights = 0 if hasattr(family, "footprint") else COPIES * _weights(family, config, data)
    # What has no room for the weights has none for a rehearsal.
    fits = PROGRAM + weights <= room
    with advice(config, data, where):
        needed = of(family, config, data, device) if fits else Footprint(PROGRAM, weights)
    line = f"{needed}; {told(room)} are free"
    if needed.total <= room:
        return line
    raise UserError(f"{where}: the training needs {line}. {_smaller(config, data.spec)}")


@contextmanager
def advice(config: Settings, data: PreparedData, where: str) -> Iterator[None]:
    """Turn a GPU's lack of memory into what to change.

    Raises:
        UserError: there was no room for a step; the message begins with ``where``, the model's key, and with the
            setting and its next value where a smaller batch takes less memory.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        size = min(getattr(config, "batch_size", 1), len(data.train))
        together = at_once.pictures(data.spec.shape, size)
        # Of a batch that is computed on in parts, only one that is smaller than a part takes less.
        first = (
            f"{where}.overrides.batch_size: {config.batch_size} -> {together // 2}: the GPU has no room for a step on"
            f" {together} examples at a time. Or:"
            if together > 1
            else f"{where}: the GPU has no room for the training."
        )
        raise UserError(f"{first} {_smaller(config, data.spec)}") from None


def _smaller(config: Settings, spec: DataSpec) -> str:
    """Return what a user can do so that a training takes less memory."""
    levers = ", ".join(f"{name} ({getattr(config, name)})" for name in LEVERS if hasattr(config, name))
    return (
        f"Make image.height and image.width in data/{spec.name}/dataset.yaml smaller ({spec.height} x {spec.width})"
        + (f", or {levers} in its overrides" if levers else "")
        + ", or take a machine with more memory."
    )


def of_rank(config: Settings, ranks: int) -> Settings:
    """Return the settings by which what one of ``ranks`` holds is told: it computes on its part of a batch."""
    if ranks == 1 or not hasattr(config, "batch_size"):
        return config
    # At least two, as a batch norm that sees no other rank wants it.
    return config.model_copy(update={"batch_size": max(2, -(-config.batch_size // ranks))})


def largest_batch(
    family: ModuleType,
    config: Settings,
    data: PreparedData,
    device: torch.device,
    where: str,
    ranks: int = 1,
) -> int:
    """Return the largest of :func:`batch_sizes` with which the training has room, on each of ``ranks`` devices.

    Raises:
        UserError: it has none with the smallest; the message begins with ``where``, the model's key.
    """

    def sized(size: int) -> Settings:
        return of_rank(config.model_copy(update={"batch_size": size}), ranks)

    least, *larger = [size for size in batch_sizes(config, data) if size >= ranks] or [ranks]
    require(family, sized(least), data, device, where)
    return next((size for size in reversed(larger) if fits(family, sized(size), data, device)), least)


def batch_sizes(config: Settings, data: PreparedData) -> list[int]:
    """Return what comes into question, rising: powers of two with which an epoch has still some steps."""
    num, shots = len(data.train), getattr(config, "shots", 0)
    most = min(num, shots * data.spec.num_classes) if shots else num
    return [size for size in POWERS if size == POWERS[0] or size * STEPS_IN_EPOCH <= most]


def fits(family: ModuleType, config: Settings, data: PreparedData, device: torch.device) -> bool:
    """Say whether the training has room, and some is left.

    On a GPU two steps are taken. On a CPU, which would end the process, what they need is estimated within a factor of
    two, so there must be twice as much.
    """
    if device.type != "cuda":
        return PROGRAM + 2 * of(family, config, data, device).fit <= _room(device)
    try:
        return _has_room(family, config, data, device)
    finally:  # PyTorch keeps what it was given, and what is free does not count it
        gc.collect()
        torch.cuda.empty_cache()


def _has_room(family: ModuleType, config: Settings, data: PreparedData, device: torch.device) -> bool:
    family, config = _trained_as(family, config)
    # The best weights so far and those at the end come only later, and the memory gets full of gaps.
    later = 2 * _weights(family, config, data) + int(GAPS * _room(device))
    try:
        left = torch.empty(later, dtype=torch.uint8, device=device)
        with Rehearsal(family.__name__, device) as run, suppress(Rehearsal.Over):
            family.fit(family.build(config, data.spec), data, run)
        del left
    except torch.OutOfMemoryError:
        return False
    return True


def _room(device: torch.device) -> int:
    """Return the bytes that are free where the training computes."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else memory.available()


def _weights(family: ModuleType, config: Settings, data: PreparedData) -> int:
    """Return the bytes of the network's weights, which are not made for it."""
    with torch.device("meta"):
        network = family.build(config, data.spec)
    return sum(weight.nbytes for weight in network.parameters())


def _rehearsed(family: ModuleType, config: Settings, data: PreparedData, device: torch.device) -> int:
    if not hasattr(config, "batch_size"):  # each step is on all examples
        return _peak(family, config, data, device) + 2 * _weights(family, config, data)
    size = min(config.batch_size, len(data.train))
    together = at_once.pictures(data.spec.shape, size)
    few, more = (
        _peak(family, config.model_copy(update={"batch_size": number}), data, device) for number in EXAMPLES
    )
    of_one = (more - few) / (EXAMPLES[1] - EXAMPLES[0])
    rest = WAITING * (size - together) * math.prod(data.spec.shape)
    # The best weights so far and those at the end come only later.
    return math.ceil(few + of_one * (together - EXAMPLES[0])) + rest + 2 * _weights(family, config, data)


def _peak(family: ModuleType, config: Settings, data: PreparedData, device: torch.device) -> int:
    """Return the bytes of all tensors that are there at one time in two steps."""
    with Rehearsal(family.__name__, device) as run, Held() as held, suppress(Rehearsal.Over):
        family.fit(family.build(config, data.spec), data, run)
    return held.peak


class Rehearsal(Run):
    """A run that ends after two steps, and shows nothing."""

    class Over(Exception):
        """Two steps are taken."""

    def __init__(self, name: str, device: torch.device) -> None:
        super().__init__(name, device=device, shown=False)
        self._steps = 0

    def record(self, **row: float) -> None:
        """Count a row for a step, in a training that does not show how far it is."""
        super().record(**row)
        if not self._steps and len(self.history) == STEPS:
            raise Rehearsal.Over

    def finish(self, **_: Any) -> None:
        """End: the whole training took less than two steps."""
        raise Rehearsal.Over

    def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
        """Count a step."""
        self._steps += 1
        if self._steps == STEPS:
            raise Rehearsal.Over


class Held(TorchDispatchMode):
    """Counts the bytes of all tensors that are made while it is on.

    Attributes:
        now: of those that are still there.
        peak: the most that were there at one time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: weakref.WeakSet = weakref.WeakSet()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.now -= size
