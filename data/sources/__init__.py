"""Where data sets come from. A source gives arrays, or names files; it never writes to what is the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.objects import Objects
from data.sources.description import AnnotatedImage


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrays:
    """Images of one size that lie in memory.

    Attributes:
        ids: N names, unique and sorted as the rows are.
        sources: N descriptions of where each image came from.
        splits: N of ``train``, ``validation``, ``test``, or empty where the source does not say.
        labels: N class names; None where images have objects in place of a class.
        images: uint8 [N, H, W, C], C of 1 (grey) or 3 (RGB).
        inputs: translation: uint8 [N, H, W, C_in], what each image is the translation of; else None.
        identities: reenactment: N names of who is seen; else None.
        landmarks: reenactment: float32 [N, L, 2], points of the face: x to the right and y downwards, in [0, 1] of the
            picture's sides; else None.
        objects: detection: what lies in each image; else None.
        texts: transcription: N transcripts; else None.
        captions: text to image: N captions; else None.
    """

    ids: list[str]
    sources: list[str]
    splits: list[str]
    labels: list[str] | list[None]
    images: np.ndarray
    inputs: np.ndarray | None = None
    identities: list[str] | None = None
    landmarks: np.ndarray | None = None
    objects: list[Objects] | None = None
    texts: list[str] | None = None
    captions: list[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """The image that another one is the translation of; ``id``, ``path`` and ``nearest`` as of an
    :class:`ImageFile`."""

    id: str
    path: Path
    nearest: str | None = None

    @property
    def place(self) -> str:
        """Its path as text."""
        return str(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFile(AnnotatedImage):
    """One image file of a folder, with what is said of it.

    Attributes:
        id: path relative to the folder, with ``/`` between parts and bytes that are no UTF-8 escaped.
        folder: the folder that all of them are in.
        name: path relative to it, as it is.
        split: ``train``, ``validation``, ``test``, or empty where the folder does not say.
        input: translation: the file of the image that this one is the translation of; None where nothing names one.
        modified: when it was changed, in ns; 0 where no listing says.
    """

    id: str
    folder: Path
    name: str
    split: str
    input: InputFile | None = None
    modified: int = 0

    @property
    def path(self) -> Path:
        """Where to read it."""
        return self.folder / self.name

    @property
    def place(self) -> str:
        """Its path as text (``data/sources/reading.py``)."""
        return f"{self.folder}/{self.name}"
