"""What generated images bring a classifier that has few labelled ones (after Ravuri & Vinyals 2019).

Two networks of the judge's kind learn by the same recipe: one from ten real images of each class, the other from these
and generated ones, half and half. The generator itself was trained on more: this tells how much of that it can pass
on, not what it would bring where there is no more.
"""

from __future__ import annotations

import numpy as np

from components.judging.network import Lesson, in_chunks, learn
from components.metrics.nearest import evenly
from data.prepared import PreparedData, Split
from models.blocks.classify import Classifying

PER_CLASS = 10
RECIPE = Classifying(shift=1, epochs=1, least_steps=200, batch_size=64, learning_rate=4e-3, weight_decay=0.05)


def answers(images: np.ndarray, labels: np.ndarray, data: PreparedData) -> np.ndarray:
    """Return bool [2, N]: which test images are classified right without and with the generated ones.

    Args:
        images: generated ones, uint8 [M, H, W, C].
        labels: the classes that they were asked to be of, int64 [M].
        data: real ones.
    """
    train, test = data.train, data.test
    few = np.concatenate(
        [np.flatnonzero(train.labels == k)[:PER_CLASS] for k in range(data.spec.num_classes)]
    )
    # Both as often as each other, and epochs of one length in both lessons.
    half = np.resize(few, len(images))
    whole = np.resize(few, 2 * len(images))
    real = Split(train.images[whole], train.labels[whole], [])
    mixed = Split(
        np.concatenate([train.images[half], images]), np.concatenate([train.labels[half], labels]), []
    )
    held_out = Split(evenly(data.validation.images), evenly(data.validation.labels), [])
    rights = []
    for split in (real, mixed):
        network = learn(Lesson(split, held_out), data.spec, RECIPE, "augmentation")
        predicted = in_chunks(network, evenly(test.images)).argmax(dim=1).numpy()
        rights.append(predicted == evenly(test.labels))
    return np.stack(rights)
