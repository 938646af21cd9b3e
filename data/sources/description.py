"""What is said of an image beside its file: by metadata, or by COCO's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data.objects import Annotation


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedImage:
    """An image with what is said of it; None where nothing says it.

    Attributes:
        label: its class.
        objects: detection: what lies in it, maybe nothing, with boxes and masks.
        size: width and height in pixels.
        text: transcription: what is written in it; text to image: its caption.
        group: what it belongs to, by which it may be put into a split.
        time: when it was made, as it is written.
        metadata: of each column of the metadata that slices need, what it says; None where it says nothing.
        nearest: of one that something names and that is not there, the file of the nearest name in the folder.
    """

    label: str | None = None
    objects: tuple[Annotation, ...] | None = None
    size: tuple[int, int] | None = None
    text: str | None = None
    group: str | None = None
    time: str | None = None
    metadata: tuple[str | None, ...] = ()
    nearest: str | None = None

    def annotations(self) -> dict[str, Any]:
        """Return what is said, by the names above."""
        return {name: getattr(self, name) for name in AnnotatedImage.__slots__}


@dataclass(frozen=True, kw_only=True, slots=True)
class Description(AnnotatedImage):
    """What is said of an image.

    Attributes:
        input: the image that it is the translation of, a path in the folder.
        where: the file and line that says it.
        split: what a file of annotations is of; empty where it does not say.
        nearest_input: as ``nearest``, of its input.
    """

    input: str | None = None
    where: str = ""
    split: str = ""
    nearest_input: str | None = None
