"""Class probabilities of every example by a classifier that has learned from others, and never seen its label.

The classifier is that of the judge (``components/judging/network.py``): small, quick on a CPU, with a fixed recipe.
"""

from __future__ import annotations

import numpy as np
import torch

from components.judging import network
from components.judging.network import Lesson
from data.arrays import ShardedArray
from data.errors import UserError
from data.prepared import SPLITS, DataSpec, PreparedData, Split

LEAST = 4
"""Examples of different contents, for each fold, below which nothing can be learned."""


def together(data: PreparedData) -> tuple[Split, np.ndarray]:
    """Return the examples of all splits as one, and int64 [N], of each the place of its split in ``SPLITS``."""
    splits = [getattr(data, name) for name in SPLITS]
    whole = Split(
        images=ShardedArray([split.images for split in splits]),
        labels=np.concatenate([split.labels for split in splits]),
        ids=[id for split in splits for id in split.ids],
        contents=np.concatenate([split.contents for split in splits]),
    )
    return whole, np.repeat(np.arange(len(splits)), [len(split) for split in splits])


def folds(contents: np.ndarray, count: int) -> np.ndarray:
    """Return the fold of each example, int64 [N]: of equal contents the same, and else by their hashes.

    Args:
        contents: int64 [N], beginnings of SHA-256: their order is no order of the examples.
        count: how many folds.
    """
    return np.unique(contents, return_inverse=True)[1] % count


def predict(examples: Split, spec: DataSpec, count: int) -> np.ndarray:
    """Return float32 [N, K]: what a network that was trained without an example's fold says of it.

    Of the other folds one chooses the network's best weights, as a validation split does.

    Args:
        examples: those of all splits.
        spec: of their data set.
        count: folds, at least 3.

    Raises:
        UserError: there are too few examples.
    """
    assert examples.contents is not None
    different = len(np.unique(examples.contents))
    if different < LEAST * count:
        raise UserError(
            f"{spec.name}: {different} different images are too few to look for wrong labels in {count} folds:"
            f" {LEAST * count} are needed."
        )
    fold = folds(examples.contents, count)
    found = np.empty((len(examples), spec.num_classes), np.float32)
    for number in range(count):
        asked, chooses = fold == number, fold == (number + 1) % count
        lesson = Lesson(*(examples.take(np.flatnonzero(rows)) for rows in (~asked & ~chooses, chooses)))
        told = f"labels of {spec.name}, fold {number + 1} of {count}"
        trained = network.learn(lesson, spec, network.RECIPE, told)
        images = examples.take(np.flatnonzero(asked)).images
        found[asked] = network.in_chunks(lambda x, to=trained: torch.softmax(to(x), dim=-1), images).numpy()
    return found
