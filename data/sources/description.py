"""What is said of an image beside its file: by metadata, or by COCO's JSON."""

from __future__ import annotations

from dataclasses import dataclass

from data.objects import Annotation


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of an image.

    Attributes:
        label: its class.
        input: the image that it is the translation of, a path in the folder.
        objects: with boxes and masks.
        size: width and height in pixels.
        text: what is written in it, or what it shows.
        group: what it belongs to.
        time: when it was made.
        metadata: the columns that were asked for.
        where: the file and line that says it.
        split: what a file of annotations is of; empty where it does not say.
        nearest: the file of the nearest name, where the image is not there.
        nearest_input: the same of its input.
    """

    label: str | None = None
    input: str | None = None
    objects: tuple[Annotation, ...] | None = None
    size: tuple[int, int] | None = None
    text: str | None = None
    group: str | None = None
    time: str | None = None
    metadata: tuple[str | None, ...] = ()
    where: str = ""
    split: str = ""
    nearest: str | None = None
    nearest_input: str | None = None
