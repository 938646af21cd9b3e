"""Classes of unequal size: what makes up for them, so that a classifier does not learn the largest alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from models.blocks import batches

Imbalance = Literal["none", "weights", "sampling"]
"""What a training does about it: nothing, each loss times its class's weight, or each class seen equally often."""


def weights(labels: np.ndarray) -> Tensor:
    """Return float32 [K], of each class up to the largest of ``labels`` the weight of its examples.

    It is inversely proportional to the class's size, and its mean over all examples is 1 (King & Zeng 2001; in
    scikit-learn: ``balanced``). A class without examples has none.
    """
    counts = np.bincount(labels)
    shares = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.from_numpy(np.where(counts > 0, shares, 0)).float()


def order(labels: np.ndarray, seed: int, epoch: int) -> Tensor:
    """Return int64 [N]: which of the N examples an epoch shows, each class equally often, from seed and epoch alone.

    The examples of a small class come again only when all of them were shown, so that two of them differ by one time at
    most. Where N is no multiple of the number of classes, it is drawn which get one more.
    """
    generator = batches.generator(seed, epoch)
    known = torch.from_numpy(labels)
    counts = known.unique(return_counts=True)[1]
    share, rest = divmod(len(known), len(counts))
    more = torch.randperm(len(counts), generator=generator) < rest
    shown = []
    for members, one in zip(known.argsort(stable=True).split(counts.tolist()), more.tolist(), strict=True):
        wanted = share + one
        rounds = -(-wanted // len(members))
        passes = [members[torch.randperm(len(members), generator=generator)] for _ in range(rounds)]
        shown.append(torch.cat(passes)[:wanted] if passes else members[:0])
    return torch.cat(shown)[torch.randperm(len(known), generator=generator)]
