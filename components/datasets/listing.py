"""Whether a user's folder of images is still the one that ``dataset.yaml`` names the listing of.

The folder is that of the data set or, where ``of`` names one, of a challenge set; ``settings`` are those it is read by.
"""

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


def check(dataset: str, settings: spec.DatasetSpec, of: str = "") -> Listing:
    """Return the listing of the folder of the data set, or of its challenge set ``of``.

    Raises:
        UserError: the folder changed since it was added. The message says how.
    """
    found = _scan(settings)
    if fingerprint(found) != settings.listing:
        changes = compare(_last(dataset, of), found) if listing_file(dataset, of).exists() else None
        key = f"challenge_sets.{of}.listing" if of else "listing"
        folder = shlex.quote(str(settings.folder))
        add = f"challenge {dataset} {shlex.quote(of)} {folder}" if of else f"add {folder} --name {dataset}"
        raise UserError(
            f"{dataset_file(dataset)}: {key}: {settings.folder} is not as it was when it was added:"
            f" {changes or f'{len(found):,} files now'}. To take it as it is now, run: darkroom data {add}"
        )
    return found


def confirm(dataset: str, settings: spec.DatasetSpec, of: str = "") -> None:
    """Make sure, without a listing in memory, that the folder is still as it was when it was added.

    Raises:
        UserError: as :func:`check`.
    """
    if fingerprint_in_order(entries(settings.folder, _told(settings))) != settings.listing:
        check(dataset, settings, of)


def refresh(dataset: str) -> Changes | None:
    """List the folders of the data set anew, by ``stat`` alone, and note the listings in ``dataset.yaml``.

    Returns:
        What changed in its own folder, or None: nothing did, the data set is no folder of images, or the folder is not
        on this machine (a clone works on what the ingest stage kept of it).
    """
    settings = spec.load(dataset_file(dataset))
    for name in settings.challenge_sets:
        _refresh(dataset, settings.of_challenge_set(name), name)
    return _refresh(dataset, settings) if settings.source == "imagefolder" else None


def _refresh(dataset: str, settings: spec.DatasetSpec, of: str = "") -> Changes | None:
    if not settings.folder.is_dir():
        return None
    found = _scan(settings)
    if fingerprint(found) == settings.listing:
        return None
    changes = compare(_last(dataset, of), found)
    record(dataset, found, of)
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


def record(dataset: str, found: Sequence[Entry], of: str = "") -> None:
    """Note ``found`` as the listing that ``dataset.yaml`` stands for; its comments and other keys stay."""
    from ruamel.yaml import YAML  # Slow to import, and ingest does without.

    path = dataset_file(dataset)
    yaml = YAML()
    yaml.width = 4096
    values = yaml.load(path.read_text())
    (values["challenge_sets"][of] if of else values)["listing"] = fingerprint(found)
    with atomic.file(path) as temporary, temporary.open("w") as file:
        yaml.dump(values, file)
    listed = [[e.path, e.size, e.modified] for e in found]
    atomic.write_text(listing_file(dataset, of), json.dumps(listed) + "\n")


def _scan(settings: spec.DatasetSpec) -> Listing:
    return scan(settings.folder, _told(settings))


def _told(settings: spec.DatasetSpec) -> tuple[Path, ...]:
    return settings.objects.coco if settings.objects else ()


def _last(dataset: str, of: str) -> list[Entry]:
    file: Path = listing_file(dataset, of)
    return [Entry(*values) for values in json.loads(file.read_text())] if file.exists() else []
