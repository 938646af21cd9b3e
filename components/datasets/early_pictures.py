"""The pictures that ingest decodes anyway, made and kept for prepare: each is decoded once.

They lie in a memo as that of prepare (``components/datasets/picture_memo.py``), which no result depends on: what is not
in it, prepare makes. Ingest makes them of a folder's images where pixels are kept and follow from an image alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.datasets import picture_files, picture_memo
from components.datasets.manifest import IMAGES
from components.datasets.parts import Part
from components.datasets.picture_files import Facts
from components.datasets.picture_memo import Made
from components.datasets.pictures import frame, layout
from data.frames import Frame
from data.spec import DatasetSpec

_MOST_BYTES = 16 << 20
"""Pixels of a part beyond this are not held until it ends: prepare makes them again."""


class Picture(NamedTuple):
    """A picture: its pixels uint8 [1, H, W, C], and its facts."""

    pixels: np.ndarray
    facts: Facts


def frame_of(settings: DatasetSpec) -> Frame | None:
    """Return what ingest makes of each image; None where its pixels are not kept, or not they alone."""
    image = settings.image
    if settings.source != "imagefolder" or set(layout(settings)) != {IMAGES} or image.levels != 256:
        return None
    return frame(settings, image.channels)


def look(pixels: list[np.ndarray]) -> list[Picture]:
    """Return the pictures of ``pixels``, each uint8 [H, W, C] of one shape."""
    if not pixels:
        return []
    images = np.stack(pixels)
    facts = picture_files.describe(images, {IMAGES: images})
    return [
        Picture(images[k : k + 1], Facts(*(values[k : k + 1] for values in facts)))
        for k in range(len(images))
    ]


class EarlyPictures:
    """Writes the pictures of the parts of one ingest."""

    def __init__(self, folder: Path, settings: DatasetSpec) -> None:
        """Begin in ``folder``, which is empty."""
        self._folder, self._layout = folder, layout(settings)
        self._basis = picture_files.basis(settings)
        self._made: dict[str, Made] = {}
        self._coming: list[Picture] = []
        self._bytes, self._whole = 0, True
        picture_memo.begin(folder)

    def add(self, picture: Picture | None) -> None:
        """Append the picture of the next example of a part; None: it was not decoded, so the part is prepare's."""
        self._bytes += 0 if picture is None else picture.pixels.nbytes
        self._whole &= picture is not None and self._bytes <= _MOST_BYTES
        if self._whole:
            self._coming.append(picture)
        else:
            self._coming.clear()

    def end(self, part: Part) -> None:
        """Write what was added, all of which is of ``part``."""
        if self._whole and self._coming:
            examples = (({IMAGES: picture.pixels}, picture.facts) for picture in self._coming)
            made = picture_files.write(self._folder, self._layout, part.count, examples)
            self._made[picture_files.key(self._basis, part.rows)] = made
        self._coming, self._bytes, self._whole = [], 0, True

    def close(self) -> None:
        """Finish the memo."""
        picture_memo.end(self._folder, self._made)
