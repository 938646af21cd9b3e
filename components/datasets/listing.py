"""Whether a user's folder of images is still the one that ``dataset.yaml`` names the listing of."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from components.project.layout import dataset_file, listing_file
from data import atomic, spec
from data.errors import UserError
from data.sources.listing import (
    Changes,
    Entry,
    Listing,
    compare,
    entries,
    fingerprint,
    fingerprint_in_order,
    printable,
    scan,
    unused,
)


def check(dataset: str, settings: spec.DatasetSpec) -> Listing:
    """Return the listing of the data set's folder.

    Raises:
        UserError: the folder changed since it was added. The message says how.
    """
    found = _scan(settings)
    if fingerprint(found) != settings.listing:
        changes = compare(_last(dataset), found) if listing_file(dataset).exists() else None
        raise UserError(
            f"{dataset_file(dataset)}: listing: {settings.folder} is not as it was when it was added:"
            f" {changes or f'{len(found):,} files now'}. To take it as it is now, run:"
            f" darkroom data add {shlex.quote(str(settings.folder))} --name {dataset}"
        )
    return found


def confirm(dataset: str, settings: spec.DatasetSpec) -> None:
    """Make sure, without a listing in memory, that the data set's folder is still as it was when it was added.

    Raises:
        UserError: as :func:`check`.
    """
    if fingerprint_in_order(entries(settings.folder, _told(settings))) != settings.listing:
        check(dataset, settings)


def refresh(dataset: str) -> Changes | None:
    """List the data set's folder anew, by ``stat`` alone, and note the listing in ``dataset.yaml``.

    Returns:
        What changed, or None: nothing did, the data set is no folder of images, or the folder is not on this
        machine (a clone works on what the ingest stage kept of it).
    """
    path = dataset_file(dataset)
    settings = spec.load(path)
    if settings.source != "imagefolder" or not settings.folder.is_dir():
        return None
    found = _scan(settings)
    if fingerprint(found) == settings.listing:
        return None
    changes = compare(_last(dataset), found)
    record(dataset, found)
    return changes


def left_out(folder: Path, used: Iterable[str], coco_files: Iterable[Path] = ()) -> dict[str, int]:
    """Count the files of a data set's folder that are not read, by their ending.

    Args:
        folder: the user's folder.
        used: ids of the images and inputs that are read.
        coco_files: COCO's JSON.
    """
    told = (os.path.relpath(file, folder) for file in coco_files)
    return unused(folder, [*used, *map(printable, told)])


def record(dataset: str, found: Sequence[Entry]) -> None:
    """Note ``found`` as the listing that ``dataset.yaml`` stands for; its comments and other keys stay."""
    from ruamel.yaml import YAML  # Slow to import, and ingest does without.

    path = dataset_file(dataset)
    yaml = YAML()
    values = yaml.load(path.read_text())
    values["listing"] = fingerprint(found)
    with atomic.file(path) as temporary, temporary.open("w") as file:
        yaml.dump(values, file)
    atomic.write_text(listing_file(dataset), json.dumps([[e.path, e.size, e.modified] for e in found]) + "\n")


def _scan(settings: spec.DatasetSpec) -> Listing:
    return scan(settings.folder, _told(settings))


def _told(settings: spec.DatasetSpec) -> tuple[Path, ...]:
    return settings.objects.coco if settings.objects else ()


def _last(dataset: str) -> list[Entry]:
    file: Path = listing_file(dataset)
    return [Entry(*values) for values in json.loads(file.read_text())] if file.exists() else []
