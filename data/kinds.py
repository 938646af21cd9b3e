"""The kinds of data: which tensors tell what a data set is for, and the tasks of the families that learn from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from data.errors import UserError


@dataclass(frozen=True)
class Kind:
    """A kind of data.

    Attributes:
        tensors: which of its tensors tell, besides images and labels.
        tasks: of the families that can be trained on it.
        mask_tasks: of those that can where its objects have masks.
        has_classes: whether an image's label is what it shows, which a judge learns from.
    """

    tensors: tuple[str, ...]
    tasks: tuple[str, ...]
    mask_tasks: tuple[str, ...] = ()
    has_classes: bool = False


JUDGED = ("generation", "text_to_image", "controlled_generation")
"""Tasks whose images have no right answer: the judge of the data set measures them."""

LABELLED = "classification"
"""The kind of images that have labels and nothing else."""

KINDS = {
    "controlled_generation": Kind(
        ("inputs", "captions"), ("controlled_generation", "text_to_image"), has_classes=True
    ),
    "translation": Kind(("inputs",), ("translation",)),
    "reenactment": Kind(("landmarks",), ("reenactment", "generation")),
    "detection": Kind(("boxes",), ("detection",), mask_tasks=("segmentation",)),
    "transcription": Kind(("texts",), ("transcription",)),
    "text_to_image": Kind(("captions",), ("text_to_image",), has_classes=True),
    LABELLED: Kind((), ("classification", "density", "generation"), has_classes=True),
}
"""By what ``spec.json`` calls them, ``task``: the first whose tensors are all there is a data set's own."""


def of(tensors: Collection[str]) -> str:
    """Return which kind data with these tensors is."""
    return next(name for name, kind in KINDS.items() if set(kind.tensors) <= set(tensors))


def require(task: str, where: str, dataset: str, kind: str, has_masks: bool) -> None:
    """Check that a family of ``task`` can be trained on ``dataset``, data of ``kind``.

    Raises:
        UserError: it cannot; the message begins with ``where``, the key that names the data set.
    """
    found = KINDS[kind]
    if task not in found.tasks + found.mask_tasks:
        families = " or ".join(found.tasks + found.mask_tasks)
        raise UserError(
            f"{where}: {dataset!r} is data for {kind}, and the model's task is {task}. "
            f"It takes a family whose task is {families}."
        )
    if task in found.mask_tasks and not has_masks:
        raise UserError(
            f"{where}: {dataset!r} has boxes and no masks, which {task} learns from. Give every object of "
            f"it a segmentation (COCO's JSON), or take a family whose task is {' or '.join(found.tasks)}."
        )
