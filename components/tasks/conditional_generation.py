"""Generation by class: the graph's third input ``label`` is a class, or -1 for every class in turn.

Measured on images of every class in turn, so that each has its share and its class is known: what is measured
besides is how often an image is of the class that was asked for.
"""

from __future__ import annotations

import numpy as np

from components.bundles.signature import Arrays, Predict, Tensor
from components.tasks import generation
from components.tasks.generation import (
    COMPARED_BY_JUDGE,
    COUNT,
    HOOKS,
    METRICS,
    TOLERANCES,
    agreements,
    draw,
    measure,
    paired,
    rows,
    scores,
)
from data.prepared import DataSpec, PreparedData

__all__ = [
    "COMPARED_BY_JUDGE",
    "HOOKS",
    "METRICS",
    "TOLERANCES",
    "agreements",
    "answer",
    "draw",
    "extend",
    "inputs",
    "measure",
    "paired",
    "rows",
    "scores",
    "signature",
]

EVERY = -1
"""The label that asks for every class in turn: image ``i`` is of class ``i mod K``."""


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    inputs, outputs = generation.signature(spec)
    return [*inputs, Tensor("label", "int64", (1,))], outputs


def inputs(data: PreparedData, split: str, start: int, count: int) -> Arrays:
    """Return a request for ``count`` images: of every class in turn for ``start`` 0, else of one class."""
    label = start % (data.spec.num_classes + 1) + EVERY
    return generation.inputs(data, split, start, count) | {"label": np.array([label], dtype=np.int64)}


def answer(predict: Predict, data: PreparedData) -> Arrays:
    """Return ``image`` uint8 [1024, H, W, C], and ``label`` int64 [1024]: the class that each was asked to be of."""
    images, labels, classes = [], [], data.spec.num_classes
    for number, (seed, count) in enumerate(generation.requests(data.spec)):
        # A request for fewer images than there are classes would ask for the first of them alone.
        label = EVERY if count >= min(classes, COUNT) else number % classes
        request = generation.inputs(data, "test", seed, count) | {"label": np.array([label], dtype=np.int64)}
        images.append(predict(request)["image"])
        labels.append(np.arange(count) % classes if label == EVERY else np.full(count, label))
    return {"image": np.concatenate(images), "label": np.concatenate(labels)}


def extend(answers: Arrays, data: PreparedData) -> Arrays:
    """Return ``augmentation``: what the samples bring a classifier that has few labelled images, bool [2, N]."""
    from components.judging import augmentation  # PyTorch, which only this needs

    return {"augmentation": augmentation.answers(answers["image"], answers["label"], data)}
