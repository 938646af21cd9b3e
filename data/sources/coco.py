"""COCO's JSON of boxes and masks (Lin et al. 2014, "Microsoft COCO"; cocodataset.org, data format).

A file lists ``images`` (``id``, ``file_name``), ``categories`` (``id``, ``name``) and ``annotations`` (``image_id``,
``category_id``, ``bbox`` as x, y, width, height, ``segmentation`` as polygons or run lengths,
``iscrowd``). A ``file_name`` is meant from the folder that the JSON lies in or, where no such file is there, from the
folder of images, from ``images`` or ``data`` beside the JSON or its folder, else from wherever one such file is: what
exports of label tools look like.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from data.errors import UserError, nearest
from data.objects import Annotation, Polygons, Runs
from data.sources import origin
from data.sources.description import Description
from data.sources.file_names import FileNames, is_writable, only
from data.sources.split_names import split_in

Id = int | str
"""Of an image or a category: a whole number, or a text where a tool writes such."""

KEYS = ("images", "annotations", "categories")

_IMAGES = ("images", "data")
"""What label tools call the folder of images that lies beside their annotations."""


def find(folder: Path, there: FileNames) -> list[Path]:
    """Return the COCO files in ``folder`` and the folders in it or, where it has none, beside it; sorted.

    Those beside it, or in ``annotations`` beside it, tell of an image in it, and of no other split than its name. Where
    some are called ``instances...``, as COCO calls boxes and masks, the others (poses, captions) are left out.
    """
    inside = [path for path in _jsons(folder.rglob("*")) if not _hidden(path.relative_to(folder))]
    found = [path for path in sorted(inside) if _coco(path) is not None]
    if not found:
        own = split_in(folder.name)
        beside = sorted(_jsons([*folder.parent.glob("*"), *folder.parent.glob("annotations/*")]))
        found = [path for path in beside if own is None or split_in(path.stem) in (None, own)]
        found = [path for path in found if _tells_of(path, folder, there)]
    return [path for path in found if path.name.startswith("instances")] or found


def splits(folder: Path, files: tuple[Path, ...]) -> dict[Path, str]:
    """Return the split of each of several ``files`` by its name or folder; nothing unless all are of one."""
    found = {file: split for file in files if (split := _split_of(folder, file))}
    return found if len(files) > 1 and len(found) == len(files) else {}


def load(
    folder: Path, files: tuple[Path, ...], there: FileNames, columns: Sequence[str] = ()
) -> dict[str, Description]:
    """Return what ``files`` say of the images of ``folder``, by path relative to it; of other keys, ``columns``.

    Raises:
        UserError: a file is not as it must be, none of its images is there, or an image is listed twice; the file and
            key are named.
    """
    listed: dict[str, Description] = {}
    by_file = splits(folder, files)
    for file in files:
        for name, image in _load(folder, file, there, columns).items():
            if name in listed:
                raise UserError(f"{file}: images: {name!r} is listed twice, or in another file too.")
            listed[name] = replace(image, split=by_file.get(file, ""))
    if not listed:
        raise UserError(f"{files[0]}: images: lists none.")
    return listed


def categories(files: tuple[Path, ...]) -> list[str]:
    """Return the names of the categories of ``files`` by their ids; those that only a later file has come last.

    Raises:
        UserError: a file is not as it must be.
    """
    return list(dict.fromkeys(name for file in files for name in _categories(file, _read(file)).values()))


def _jsons(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.suffix.lower() == ".json"]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _coco(path: Path) -> dict[str, list[Any]] | None:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None  # Some other JSON, which is not our business.
    is_one = isinstance(values, dict) and all(isinstance(values.get(key), list) for key in KEYS)
    return values if is_one else None


def _tells_of(file: Path, folder: Path, there: FileNames) -> bool:
    names = [
        image.get("file_name") for image in (_coco(file) or {}).get("images", []) if isinstance(image, dict)
    ]
    place = _Place(folder, file, there)
    return any(isinstance(name, str) and place.is_sound(name) and place.holds(name) for name in names)


def _split_of(folder: Path, file: Path) -> str | None:
    """Return the split that the name of ``file`` says, else that of the nearest folder up to ``folder``."""
    above = file.relative_to(folder).parts[-2::-1] if file.is_relative_to(folder) else ()
    return split_in(file.stem) or _split_of_parts(above)


def _split_of_parts(parts: Iterable[str]) -> str | None:
    return next(filter(None, map(split_in, parts)), None)


class _Place:
    """Where the images of a file of annotations are."""

    def __init__(self, folder: Path, file: Path, there: FileNames) -> None:
        self._there = there
        self._split = _split_of(folder, file)
        own = (
            [PurePosixPath(file.parent.relative_to(folder).as_posix())] if file.is_relative_to(folder) else []
        )
        bases = [*own, PurePosixPath("."), *(path.parent for path in own)]
        self._parents = list(dict.fromkeys([*bases, *(base / name for name in _IMAGES for base in bases)]))

    def is_sound(self, name: str) -> bool:
        """Return whether ``name`` is a path that leads nowhere else."""
        path = PurePosixPath(name.replace("\\", "/"))
        return bool(name) and not path.is_absolute() and ".." not in path.parts

    def find(self, where: str, name: str) -> str | None:
        """Return the path of the file that ``name`` means, None where there is none.

        Raises:
            UserError: it may mean several.
        """
        found = self._there.find(where, *(str(parent / name) for parent in self._parents))
        return found or only(where, name, self._elsewhere(name))

    def holds(self, name: str) -> bool:
        """Return whether at least one file may be meant by ``name``."""
        try:
            return self.find("", name) is not None
        except UserError:
            return True

    def _elsewhere(self, name: str) -> list[str]:
        """Return the files of this name in other folders but those of another split; of the own split, if any are."""
        found = {
            path: _split_of_parts(PurePosixPath(path).parts[-2::-1]) for path in self._there.ending_in(name)
        }
        own = [path for path, split in found.items() if split is not None and split == self._split]
        return own or [path for path, split in found.items() if None in (split, self._split)]


def _read(file: Path) -> dict[str, list[Any]]:
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read as JSON: {error}") from None
    for key in KEYS:
        if not isinstance(values, dict) or not isinstance(values.get(key), list):
            found = nearest(key, values) if isinstance(values, dict) else ""
            raise UserError(f"{file}: {key}: COCO's JSON has a list of that name, and this has none.{found}")
    return values


def _load(folder: Path, file: Path, there: FileNames, columns: Sequence[str]) -> dict[str, Description]:
    values = _read(file)
    names = _categories(file, values)
    images = _images(folder, file, values["images"], there, columns)
    objects: dict[Id, list[Annotation]] = {id: [] for id in images}
    for index, annotation in enumerate(values["annotations"]):
        where = f"{file}: annotations.{index}"
        if isinstance(annotation, dict) and "id" in annotation:
            where = f"{where} (id {annotation['id']})"
        image = _id(where, annotation, "image_id")
        if image not in objects:
            raise UserError(f"{where}: image_id: {image!r} is no id of 'images'.")
        objects[image].append(_annotation(where, annotation, names))
    return {path: replace(image, objects=tuple(objects[id])) for id, (path, image) in images.items()}


def _categories(file: Path, values: dict[str, list[Any]]) -> dict[Id, str]:
    """Return the names by their ids, in their order.

    A name may be there twice where annotations use one of its ids at most.
    """
    names: dict[Id, str] = {}
    used = [one.get("category_id") for one in values["annotations"] if isinstance(one, dict)]
    used_ids = {_known(id) for id in used if type(id) in (int, str)}
    for index, category in enumerate(values["categories"]):
        where = f"{file}: categories.{index}"
        id, name = _id(where, category, "id"), _get(where, category, "name", str)
        name = unicodedata.normalize("NFC", name)
        if not name.strip():
            raise UserError(f"{where}: name: is empty.")
        alike = {other for other, known in names.items() if known == name} | {id}
        # Roboflow puts the project's name first, which may be that of its one class.
        if id in names or len(alike & used_ids) > 1:
            raise UserError(f"{where}: its id {id!r} or its name {name!r} is another category's too.")
        names[id] = name
    return dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _images(
    folder: Path, file: Path, images: list[Any], there: FileNames, columns: Sequence[str]
) -> dict[Id, tuple[str, Description]]:
    """Return the path of each image and what is said of it, by its id, without objects."""
    found: dict[Id, tuple[str, Description]] = {}
    paths: set[str] = set()
    place = _Place(folder, file, there)
    missing = 0
    for index, image in enumerate(images):
        where = f"{file}: images.{index}"
        id, name = _id(where, image, "id"), _get(where, image, "file_name", str)
        if id in found:
            raise UserError(f"{where}: id: {id!r} is another image's too, {found[id][0]!r}.")
        if not place.is_sound(name):
            raise UserError(f"{where}: file_name: {name!r} is no path in the folder.")
        path = place.find(f"{where}: file_name", name)
        nearest_file = there.nearest(name) if path is None else None
        missing += path is None
        path = path or str(PurePosixPath(name))
        if path in paths:
            raise UserError(f"{where}: file_name: {name!r} is another image's too.")
        paths.add(path)
        told = {"group": origin.group(image), "time": origin.time(image)}
        told["metadata"] = origin.metadata(where, image, columns)
        found[id] = path, Description(objects=(), size=_size(where, image), **told, nearest=nearest_file)
    if images and missing == len(images):
        path, first = next(iter(found.values()))
        hint = f" The nearest is {first.nearest!r}." if first.nearest else ""
        raise UserError(
            f"{file}: images: none of its {missing:,} files is in {folder}. The first is {path!r}.{hint}"
        )
    return found


def _size(where: str, image: dict[str, Any]) -> tuple[int, int] | None:
    """Return width and height; None where one is missing, null or 0, as some tools write what they do not know."""
    sides = []
    for key in ("width", "height"):
        side = image.get(key) or None
        if side is not None and (not _is_number(side) or side < 0 or side != int(side)):
            raise UserError(f"{where}: {key}: must be a whole number of pixels (got {side!r}).")
        sides.append(side)
    width, height = sides
    return None if width is None or height is None else (int(width), int(height))


def _annotation(where: str, values: dict[str, Any], names: dict[Id, str]) -> Annotation:
    category = _id(where, values, "category_id")
    if category not in names:
        known = ", ".join(f"{id} {name}" for id, name in list(names.items())[:20])
        raise UserError(f"{where}: category_id: {category!r} is no id of 'categories': {known}.")
    return Annotation(
        where=where,
        category=names[category],
        box=box(f"{where}: bbox", values.get("bbox")),
        mask=_mask(f"{where}: segmentation", values.get("segmentation")),
        crowd=_crowd(f"{where}: iscrowd", values.get("iscrowd")),
    )


def _crowd(where: str, value: Any) -> bool:
    if value not in (None, 0, 1):
        raise UserError(f"{where}: must be 0 or 1 (got {value!r}).")
    return value == 1


def box(where: str, values: Any) -> tuple[float, float, float, float]:
    """Check a ``bbox``, four finite numbers.

    Raises:
        UserError: it is none; the message begins with ``where``.
    """
    if not isinstance(values, list) or len(values) != 4 or not all(_is_number(value) for value in values):
        raise UserError(f"{where}: needs four numbers, [x, y, width, height] in pixels (got {values!r}).")
    return tuple(float(value) for value in values)


def _mask(where: str, values: Any) -> Polygons | Runs | None:
    if values in (None, []):
        return None
    if isinstance(values, dict):
        return _runs(where, values)
    if not isinstance(values, list):
        raise UserError(
            f"{where}: needs polygons, [[x, y, x, y, ...], ...], or run lengths (got {values!r})."
        )
    for index, polygon in enumerate(values):
        if polygon == []:
            continue
        sound = isinstance(polygon, list) and all(_is_number(value) for value in polygon)
        if not sound or len(polygon) < 6 or len(polygon) % 2:
            raise UserError(f"{where}.{index}: a polygon is x and y in turn, of three points at least.")
    # [[]], which some tools write of an object of which only the box was drawn, is no mask.
    return tuple(tuple(float(value) for value in polygon) for polygon in values if polygon) or None


def _runs(where: str, values: dict[str, Any]) -> Runs:
    counts, size = values.get("counts"), values.get("size")
    if isinstance(counts, str):
        counts = _decompress(f"{where}.counts", counts)
    lists = all(isinstance(part, list) and all(type(value) is int and value >= 0 for value in part)
                for part in (counts, size))  # fmt: skip
    if not lists or len(size) != 2 or sum(counts) != size[0] * size[1]:
        raise UserError(
            f"{where}: 'counts' must be run lengths that add up to the pixels of 'size', [height, width]."
        )
    return Runs(tuple(counts), height=size[0], width=size[1])


def _decompress(where: str, text: str) -> list[int]:
    """Return the run lengths that COCO's compressed ``text`` holds.

    Each is written in groups of 5 bits, the lowest first, as characters from ``0`` on; bit 5 says that more follow, and
    the last group's highest bit is the sign. From the fourth on, each is the difference to the one before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - ord("0")
        if not 0 <= group < 64:
            raise UserError(f"{where}: {character!r} is no character of compressed run lengths.")
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            value -= (group & 16) << (shift - 4) if group & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise UserError(f"{where}: ends in the middle of a number.")
    return runs


def _id(where: str, values: Any, key: str) -> Id:
    if not isinstance(values, dict) or type(values.get(key)) not in (int, str) or values[key] == "":
        found = values.get(key) if isinstance(values, dict) else values
        raise UserError(f"{where}: {key}: must be a whole number or a text (got {found!r}).")
    return _known(values[key])


def _known(id: Id) -> Id:
    """Return an id by which it is known: some tools write numbers as texts, in one place or in all."""
    return int(id) if isinstance(id, str) and re.fullmatch(r"0|[1-9][0-9]{0,17}", id) else id


def _get(where: str, values: Any, key: str, kind: type) -> Any:
    if not isinstance(values, dict) or type(values.get(key)) is not kind:
        found = values.get(key) if isinstance(values, dict) else values
        word = {int: "a whole number", str: "a text"}[kind]
        raise UserError(f"{where}: {key}: must be {word} (got {found!r}).")
    if kind is str and not is_writable(values[key]):
        raise UserError(f"{where}: {key}: {values[key]!r} has a character that no file can hold.")
    return values[key]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max
