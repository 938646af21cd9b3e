"""What tinted pictures show: a data set's images as they are, their outlines, or one of them again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.prepared import PreparedData
from data.recipes import TintedSpec
from data.tinted import enlarged

_MOVED = {
    "train": ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)),
    "validation": ((-1, -1), (1, 1)),
    "test": ((-1, 1), (1, -1)),
}
"""Rows and columns by which a subject is moved in the pictures of each split: none is in two splits."""


@dataclass(frozen=True)
class Motif:
    """One thing that can be shown.

    Attributes:
        id: of the image that it is.
        label: its class.
        name: what captions call it.
        light: uint8 [h, w], as large as it is to be seen.
    """

    id: str
    label: str
    name: str
    light: np.ndarray


@dataclass(frozen=True)
class Pool:
    """All that a split's pictures can show.

    Attributes:
        motifs: M of them.
        labels: int64 [M], a number for the class of each.
    """

    motifs: list[Motif]
    labels: np.ndarray


def pool(parent: PreparedData, split: str, factor: int, settings: TintedSpec) -> Pool:
    """Return what the pictures of ``split`` can show of ``parent``'s grey images, ``factor`` times as large.

    A subject is of its own class alone.
    """
    part, count = getattr(parent, split), parent.spec.num_classes
    is_subject = np.array([settings.subject is not None and id == settings.subject.id for id in part.ids])
    ids = [id for id, left_out in zip(part.ids, is_subject, strict=True) if not left_out]
    labels = part.labels[~is_subject]
    lights = enlarged(part.images[~is_subject, ..., 0], factor)
    words = [""] * len(ids)
    if settings.outlined is not None:
        ids, words = ids * 2, words + [settings.outlined] * len(ids)
        labels = np.concatenate([labels, count + labels])
        lights = np.concatenate([lights, outlines(lights)])
    if settings.subject is not None:
        place = parent.train.ids.index(settings.subject.id)
        light, shown = enlarged(parent.train.images[[place], ..., 0], factor)[0], _MOVED[split]
        ids, words = ids + [settings.subject.id] * len(shown), words + [settings.subject.word] * len(shown)
        labels = np.concatenate([labels, np.full(len(shown), 2 * count + parent.train.labels[place])])
        lights = np.concatenate([lights, [moved(light, *by) for by in shown]])
    motifs = []
    for id, label, word, light in zip(ids, labels, words, lights, strict=True):
        known = parent.spec.classes[label % count]
        name = settings.names.get(known, known)
        motifs.append(Motif(id, f"{word} {known}".lstrip(), f"{word} {name}".lstrip(), light))
    return Pool(motifs, labels)


def outlines(lights_nhw: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W]: how much each pixel's neighbourhood of 3 x 3 differs, brightest less darkest."""
    height, width = lights_nhw.shape[1:]
    padded = np.pad(lights_nhw, ((0, 0), (1, 1), (1, 1)))
    beside = [
        padded[:, row : row + height, column : column + width] for row in range(3) for column in range(3)
    ]
    return np.maximum.reduce(beside) - np.minimum.reduce(beside)


def moved(light_hw: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return the light so many rows further down and columns further right; what comes in is dark."""
    height, width = light_hw.shape
    padded = np.pad(light_hw, ((abs(down),) * 2, (abs(right),) * 2))
    top, left = abs(down) - down, abs(right) - right
    return padded[top : top + height, left : left + width]
