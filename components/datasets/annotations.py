"""What a folder of images says of the objects in them, before it is a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.errors import UserError
from data.sources import ImageFile, coco, imagefolder
from data.sources.listing import is_metadata, scan
from data.spec import ObjectsSpec


def find(folder: Path) -> tuple[Path, ...]:
    """Return the COCO file of ``folder``, if there is one in it or beside it and no metadata; or one of each split.

    Raises:
        UserError: there are several, of which one would have to be guessed, or ``folder`` is not there.
    """
    entries = scan(folder)
    if any(is_metadata(entry.path) for entry in entries):
        return ()
    found = tuple(coco.find(folder, imagefolder.file_names(folder, entries)))
    splits = coco.splits(folder, found)
    if len(found) > 1 and len(set(splits.values())) < len(found):
        named = ", ".join(map(str, found[:5]))
        raise UserError(
            f"{folder}: {len(found)} files of COCO's kind tell of its images, and their names do not tell one for each "
            f"split: {named}. Name the right ones with --coco, which may be repeated, or take none with --no-coco."
        )
    return found


def told(folder: Path, files: tuple[Path, ...]) -> str:
    """Return a sentence on COCO's ``files``, which nobody named."""
    where = "in the folder" if files[0].is_relative_to(folder) else "beside the folder"
    named = ", ".join(map(str, files))
    return f"objects: {named}, found {where}; --no-coco leaves COCO's JSON out"


def without_outline(files: Sequence[ImageFile]) -> str:
    """Return a sentence where some objects have a mask and others none, so that no mask is kept; else nothing."""
    objects = [one for file in files for one in file.objects or ()]
    lacking = [one for one in objects if one.mask is None]
    if not lacking or len(lacking) == len(objects):
        return ""
    return (
        f"masks: not kept: {len(lacking):,} of {len(objects):,} objects have no segmentation, first "
        f"{lacking[0].where}"
    )


def look(folder: Path, *, find_coco: bool = True) -> ObjectsSpec | None:
    """Return what ``dataset.yaml`` would say of the objects in ``folder``; None where nothing tells of any.

    Raises:
        UserError: what tells of them is not as it must be.
    """
    files = find(folder) if find_coco else ()
    return spec_of(imagefolder.load(folder, scan(folder, files), files), files)


def spec_of(files: Sequence[ImageFile], coco_files: tuple[Path, ...]) -> ObjectsSpec | None:
    """Return what ``dataset.yaml`` says of the objects in ``files``; None where nothing tells of any."""
    if all(file.objects is None for file in files):
        return None
    objects = [one for file in files for one in file.objects or ()]
    return ObjectsSpec(coco=coco_files, masks=bool(objects) and all(one.mask is not None for one in objects))


def classes(files: Sequence[ImageFile], coco_files: tuple[Path, ...]) -> list[str]:
    """Return the names of the classes: COCO's by their id, numbers by size, others by name."""
    if coco_files:
        return coco.categories(coco_files)
    found = {one.category for file in files for one in file.objects or ()}
    return sorted(found, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
