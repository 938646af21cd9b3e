"""Parts of a data set: few labels of each class, or all images of some classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.prepared import PreparedData, Split


@dataclass(frozen=True)
class Part:
    """What a training reads of a data set; the splits are copies in memory."""

    train: Split
    validation: Split


def few(data: PreparedData | Part, shots: int, seed: int) -> PreparedData | Part:
    """Return ``shots`` images of each class, drawn from each split by ``seed``; all of them for 0."""
    if shots == 0:
        return data
    return Part(_few(data.train, shots, seed), _few(data.validation, shots, seed))


def of_classes(data: PreparedData, classes: Sequence[int]) -> Part:
    """Return the images of ``classes`` only, labelled by their place among them."""
    return Part(_of_classes(data.train, classes), _of_classes(data.validation, classes))


def source_classes(num_classes: int) -> range:
    """Return every second class: what the own base learns."""
    return range(0, num_classes, 2)


def _few(split: Split, shots: int, seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(len(split))
    drawn = [order[split.labels[order] == label][:shots] for label in np.unique(split.labels)]
    return _take(split, np.sort(np.concatenate(drawn)), split.labels)


def _of_classes(split: Split, classes: Sequence[int]) -> Split:
    place = np.full(max(int(split.labels.max()), *classes) + 1, -1)
    place[list(classes)] = np.arange(len(classes))
    labels = place[split.labels]
    return _take(split, np.flatnonzero(labels >= 0), labels)


def _take(split: Split, index: np.ndarray, labels: np.ndarray) -> Split:
    return Split(split.images[index], labels[index].astype(np.int64), [split.ids[i] for i in index])
