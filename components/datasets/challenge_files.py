"""The image files of challenge sets, of all together: ``split`` names the set, and ids begin with its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from components.datasets import listing
from data.sources import ImageFile, imagefolder
from data.sources.listing import Entry
from data.spec import DatasetSpec


def listed(dataset: str, settings: DatasetSpec) -> list[ImageFile]:
    """Return the files of the challenge sets of ``dataset``, sorted by id; ``settings``: of its ``dataset.yaml``.

    Raises:
        UserError: a folder is not there, is not as it must be, or changed since it was added.
    """
    found = []
    for name in settings.challenge_sets:
        read = settings.of_challenge_set(name)
        files = load(read, listing.check(dataset, read, name))
        found += [replace(file, id=f"{name}/{file.id}", split=name) for file in files]
    return sorted(found, key=lambda file: file.id)


def load(read: DatasetSpec, entries: Sequence[Entry]) -> Sequence[ImageFile]:
    """Return the files of one set, whose folder has ``entries``; ``read``: :meth:`DatasetSpec.of_challenge_set`.

    Raises:
        UserError: the folder is not as it must be.
    """
    coco = read.objects.coco if read.objects else ()
    return imagefolder.load(read.folder, entries, coco, columns=read.metadata_columns)


def confirm(dataset: str, settings: DatasetSpec) -> None:
    """Make sure that the folders are still as they were listed.

    Raises:
        UserError: one is not.
    """
    for name in settings.challenge_sets:
        listing.confirm(dataset, settings.of_challenge_set(name), name)
