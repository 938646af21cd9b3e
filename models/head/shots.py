"""Which pictures of somebody are shown: others than the one that is asked for."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data.arrays import whole
from data.prepared import Split
from models.blocks import draws
from models.blocks.pixels import unit


class Shots:
    """Draws pictures of the people of a split, which live on ``device``."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self._images = torch.as_tensor(whole(split.images)).to(device)
        _, person, counts = np.unique(split.identities, return_inverse=True, return_counts=True)
        order = np.argsort(person, kind="stable")  # everybody's pictures side by side
        rank = np.empty(len(order), dtype=np.int64)
        first = np.cumsum(counts) - counts
        rank[order] = np.arange(len(order)) - first[person[order]]
        self._order, self._first, self._count, self._rank = (
            torch.from_numpy(values).to(device) for values in (order, first[person], counts[person], rank)
        )

    def draw(self, places: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Return ``num`` shots for each picture at ``places`` int64 [N]: float32 [N, num, C, H, W] in [0, 1].

        They are drawn with replacement from the same person's other pictures; of who has one only, it is the shot.
        """
        drawn = draws.rand(len(places), num, generator=generator, device=places.device)
        others = (self._count[places] - 1)[:, None]
        chosen = (drawn * others).long().minimum((others - 1).clamp(min=0))
        chosen += (chosen >= self._rank[places][:, None]) & (others > 0)
        images = self._images[self._order[self._first[places][:, None] + chosen]]
        return unit(images.flatten(0, 1)).unflatten(0, (len(places), num))
