"""Where data sets come from. A source gives arrays, or names files; it never writes to what is the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.objects import Annotation, Objects


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
class ImageFile:
    """One image file of a folder.

    Attributes:
        id: path relative to the folder, with ``/`` between parts and bytes that are no UTF-8 escaped.
        folder: the folder that all of them are in.
        name: path relative to it, as it is.
        split: ``train``, ``validation``, ``test``, or empty where the folder does not say.
        label: class name, or None when it is missing.
        input: translation: the file of the image that this one is the translation of; None where nothing names one.
        objects: detection: what lies in it, maybe nothing; None where nothing says.
        size: width and height in pixels that are said of it; None where nothing says.
        text: transcription: what is written in the image; text to image: its caption; None where nothing says it.
        group: what it belongs to, by which it may be put into a split; None where nothing says it.
        time: when it was made, as it is written; None where nothing says it.
        metadata: of each column of the metadata that slices need, what it says; None where it says nothing.
        nearest: of one that something names and that is not there, the file of the nearest name in the folder.
        modified: when it was changed, in ns; 0 where no listing says.
    """

    id: str
    folder: Path
    name: str
    split: str
    label: str | None
    input: InputFile | None = None
    objects: tuple[Annotation, ...] | None = None
    size: tuple[int, int] | None = None
    text: str | None = None
    group: str | None = None
    time: str | None = None
    metadata: tuple[str | None, ...] = ()
    nearest: str | None = None
    modified: int = 0

    @property
    def path(self) -> Path:
        """Where to read it."""
        return self.folder / self.name

    @property
    def place(self) -> str:
        """Its path as text (``data/sources/reading.py``)."""
        return f"{self.folder}/{self.name}"
