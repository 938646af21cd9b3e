"""What tinted pictures show: a data set's images, as they are or inverted, or one of them again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.prepared import PreparedData
from data.recipes.settings import TintedSpec
from data.recipes.tinted import enlarged

_MOVED = {
    "train": ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (0, -2), (0, 2)),
    "validation": ((-1, -1), (1, 1), (-1, 2), (1, -2)),
    "test": ((-1, 1), (1, -1), (-1, -2), (1, 2)),
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
        inverted: whether ink and ground change places.
    """

    id: str
    label: str
    name: str
    light: np.ndarray
    inverted: bool


@dataclass(frozen=True)
class Pool:
    """All that a split's pictures can show.

    Attributes:
        motifs: M of them.
        labels: int64 [M], a number for the class of each.
    """

    motifs: list[Motif]
    labels: np.ndarray

    @property
    def inverted(self) -> np.ndarray:
        """Which motifs are inverted, bool [M]."""
        return np.array([motif.inverted for motif in self.motifs])


def pool(parent: PreparedData, split: str, factor: int, settings: TintedSpec) -> Pool:
    """Return what the pictures of ``split`` can show of ``parent``'s grey images, ``factor`` times as large.

    A subject is of its own class alone.
    """
    part, count = getattr(parent, split), parent.spec.num_classes
    is_subject = np.array([settings.subject is not None and id == settings.subject.id for id in part.ids])
    ids = [id for id, left_out in zip(part.ids, is_subject, strict=True) if not left_out]
    labels = part.labels[~is_subject]
    lights = enlarged(part.images[~is_subject][..., 0], factor)
    words = [""] * len(ids)
    if settings.inverted is not None:
        ids, words = ids * 2, words + [settings.inverted] * len(ids)
        labels = np.concatenate([labels, count + labels])
        lights = np.concatenate([lights, lights])
    if settings.subject is not None:
        place = parent.train.ids.index(settings.subject.id)
        light, shown = enlarged(parent.train.images[[place]][..., 0], factor)[0], _MOVED[split]
        ids, words = ids + [settings.subject.id] * len(shown), words + [settings.subject.word] * len(shown)
        labels = np.concatenate([labels, np.full(len(shown), 2 * count + parent.train.labels[place])])
        lights = np.concatenate([lights, [moved(light, *by) for by in shown]])
    motifs = []
    for id, label, word, light in zip(ids, labels, words, lights, strict=True):
        known = parent.spec.classes[label % count]
        name = settings.names.get(known, known)
        inverted = word != "" and word == settings.inverted
        motifs.append(Motif(id, f"{word} {known}".lstrip(), f"{word} {name}".lstrip(), light, inverted))
    return Pool(motifs, labels)


def moved(light_hw: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return the light moved by rows down and columns to the right; what comes in is dark."""
    height, width = light_hw.shape
    padded = np.pad(light_hw, ((abs(down),) * 2, (abs(right),) * 2))
    top, left = abs(down) - down, abs(right) - right
    return padded[top : top + height, left : left + width]
