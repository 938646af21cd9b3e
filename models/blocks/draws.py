"""Random numbers for the rows of a batch, of which a process may have a part (:mod:`models.ranks`).

Each rank draws those of the whole batch and takes its rows': an example gets the same numbers however many ranks there
are, and the generators of all ranks stay in step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from models import ranks


def rand(*shape: int, generator: Generator | None, device: torch.device, along: int = 0) -> Tensor:
    """Return float32 of ``shape``, uniform in [0, 1); ``along`` is the axis of the batch's rows."""
    return _drawn(lambda whole: torch.rand(whole, generator=generator, device=device), shape, along)


def randn(*shape: int, generator: Generator | None, device: torch.device) -> Tensor:
    """Return float32 of ``shape`` [N, ...], standard normal."""
    return _drawn(lambda whole: torch.randn(whole, generator=generator, device=device), shape, 0)


def randint(high: int, *shape: int, generator: Generator | None, device: torch.device) -> Tensor:
    """Return int64 of ``shape`` [N, ...], uniform in ``0 .. high - 1``."""
    return _drawn(lambda whole: torch.randint(high, whole, generator=generator, device=device), shape, 0)


def places(rows: int, device: torch.device) -> tuple[Tensor, int]:
    """Return the places of ``rows`` rows in their batch, int64 [N], and how many rows that has."""
    share = ranks.share() or ranks.Share(0, rows, rows)
    return torch.arange(share.first, share.first + rows, device=device), share.total


def _drawn(draw: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...], along: int) -> Tensor:
    share = ranks.share()
    if share is None:
        return draw(shape)
    assert shape[along] == share.rows
    return draw((*shape[:along], share.total, *shape[along + 1 :])).narrow(along, share.first, share.rows)
