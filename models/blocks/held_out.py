"""The mean of a loss over a held-out split, with the same noise each time: epochs compare."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from models.blocks import noise
from models.blocks.batches import Batches
from models.blocks.pixels import unit


@torch.no_grad()
def mean(split: Batches, size: int, losses: Callable[..., Tensor], chunk: int = 512) -> float:
    """Return the mean.

    Args:
        split: gives images and what belongs to each, a tensor or more.
        size: numbers of standard normal noise that an image gets, which follow from its place.
        losses: (images float32 [N, C, H, W] in [0, 1], what belongs to them [N, ...] each, noise float32 [N, size],
            places int64 [N]) -> [N].
        chunk: images at a time at most.
    """
    seed = torch.zeros(1, dtype=torch.int64, device=split.device)
    total, first = 0.0, 0
    for images, *belonging in split.in_order(chunk):
        drawn = noise.normal(seed, len(images), size, first=first)
        places = torch.arange(first, first + len(images), device=split.device)
        total += float(losses(unit(images), *belonging, drawn, places).double().sum())
        first += len(images)
    return total / len(split)
