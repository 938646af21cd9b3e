"""Several processes that train one model: each has a rank, and computes on its own rows of every batch.

The first rank alone averages weights, validates, writes and shows; all take the same steps. A process that trains by
itself is rank 0 of 1: everything here then leaves its numbers as they are, bit for bit.

Who computes on some rows of a batch says so by :func:`sharing`. Random numbers (:mod:`models.blocks.draws`) and means
over other things than examples (:func:`evenly`) are then those of the whole batch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from os import environ
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

PATIENCE = timedelta(days=7)
"""A rank may wait for as long as the first one validates. That a rank has died is seen by who started it."""


@dataclass(frozen=True)
class Share:
    """The rows of a batch that this process computes on.

    Attributes:
        first: place of the first of them in the batch.
        rows: how many they are.
        total: rows of the batch, of all ranks.
    """

    first: int
    rows: int
    total: int


_share: Share | None = None


@contextmanager
def member(number: int, count: int, backend: str, meeting: Path) -> Iterator[None]:
    """Be one of ``count`` ranks for the block; those of them that failed leave it without a goodbye to the others.

    Args:
        number: which of them, from 0.
        count: how many there are.
        backend: of torch.distributed: ``nccl`` between GPUs, ``gloo`` between processes on a CPU.
        meeting: a file, which is not there yet, by which they find each other.
    """
    if sys.platform == "linux":  # by the host's name it would look for itself on a network, and listen there
        environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "gloo" if backend == "gloo" else f"cpu:gloo,cuda:{backend}",
        init_method=meeting.absolute().as_uri(),
        rank=number,
        world_size=count,
        timeout=PATIENCE,
    )
    yield
    distributed.destroy_process_group()


def number() -> int:
    """Return which rank this process is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def count() -> int:
    """Return how many ranks train the model together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Say whether this process is the one that validates, writes and shows."""
    return number() == 0


def shares(total: int) -> list[Share]:
    """Return the share of each rank in a batch of ``total`` rows: as many rows as the others have, or one more."""
    bounds = [rank * total // count() for rank in range(count() + 1)]
    return [Share(first, stop - first, total) for first, stop in pairwise(bounds)]


def share() -> Share | None:
    """Return what is computed on at the moment; None for all of it, by a process that does it alone."""
    return _share


@contextmanager
def sharing(share: Share) -> Iterator[None]:
    """Compute on ``share`` for the block; all ranks do at the same time, each on its own."""
    global _share
    before, _share = _share, share if count() > 1 else None
    try:
        yield
    finally:
        _share = before


def evenly(amount: Tensor, least: float) -> Tensor:
    """Return what to divide a sum over this rank's rows by, of which ``amount`` things are counted, for their mean.

    The loss of a rank weighs as much as it has rows. Where a mean is over something else, of which some rows have more
    than others, such as symbols of texts, that would not be the mean over the batch. It is so with this number: the
    ``amount`` of all ranks, at least ``least``, times this rank's part of the rows.
    """
    if _share is None:
        return amount.clamp(min=least)
    return total(amount).clamp(min=least) * (_share.rows / _share.total)


def total(x: Tensor) -> Tensor:
    """Return the sum of all ranks' ``x``, which is of one shape everywhere; there is no gradient through it."""
    if count() == 1:
        return x
    summed = x.detach().clone()
    distributed.all_reduce(summed)
    return summed


def stacked(x: Tensor) -> Tensor:
    """Return all ranks' ``x`` [...], in the order of the ranks, as [R, ...]."""
    rows = x.detach().new_zeros(count(), *x.shape)
    rows[number()] = x.detach()
    return total(rows)


def agreed(first_says: bool) -> bool:
    """Return what the first rank says; what the others say does not count."""
    if count() == 1:
        return first_says
    word = torch.tensor([first_says], dtype=torch.uint8)
    distributed.broadcast(word, 0)
    return bool(word)


def set_out(model: nn.Module) -> None:
    """Begin a training: with the weights of the first rank, and each rank with its own stream of PyTorch's numbers.

    By those units are dropped: ranks with the same stream would drop the same ones of different examples.
    """
    if count() == 1:
        return
    hand_out(model)
    torch.manual_seed(int(torch.randint(2**31, (count(),))[number()]))


def hand_out(model: nn.Module) -> None:
    """Give all ranks the weights and buffers that ``model`` has in the first."""
    if count() == 1:
        return
    for tensor in model.state_dict().values():
        dense = tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1)
        distributed.broadcast(dense.view(torch.uint8), 0)  # not all backends know of every type of number
        tensor.copy_(dense.view(tensor.shape))


def add_up(parameters: Iterable[nn.Parameter]) -> None:
    """Give each of ``parameters`` the sum of all ranks' gradients, the same bits everywhere.

    One that has no gradient in any of them has none afterwards: an optimizer would step all the same on zeros.
    """
    if count() == 1:
        return
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in wanted]
    have = torch.tensor([p.grad is not None for p in wanted], dtype=gradients[0].dtype)
    flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), have.to(gradients[0].device)])
    distributed.all_reduce(flat)
    *summed, having = flat.split([*(p.numel() for p in wanted), len(wanted)])
    for gradient, values in zip(gradients, summed, strict=True):
        gradient.copy_(values.view(gradient.shape))
    for place, (parameter, gradient) in enumerate(zip(wanted, gradients, strict=True)):
        if (
            parameter.grad is None and having[place] > 0
        ):  # read only where it is needed: a GPU would wait for it
            parameter.grad = gradient
