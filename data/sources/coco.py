"""COCO's JSON of boxes and masks (Lin et al. 2014, "Microsoft COCO"; cocodataset.org, data format).

A file lists ``images`` (``id``, ``file_name``), ``categories`` (``id``, ``name``) and ``annotations`` (``image_id``,
``category_id``, ``bbox`` as x, y, width, height, ``segmentation`` as polygons or uncompressed run lengths,
``iscrowd``). A ``file_name`` is meant from the folder that the JSON lies in or, where no such file is there, from the
folder of images.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from data.errors import UserError, nearest
from data.objects import Annotation, Polygons, Runs

KEYS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class Listed:
    """What a file says of an image: its objects, and its width and height in pixels where they are there."""

    objects: tuple[Annotation, ...]
    size: tuple[int, int] | None


def find(folder: Path) -> list[Path]:
    """Return the COCO files in ``folder`` and the folders in it or, where it has none, beside it; sorted."""
    inside = [path for path in folder.rglob("*.json") if not _hidden(path.relative_to(folder))]
    return sorted(filter(_is_coco, inside)) or sorted(filter(_is_coco, folder.parent.glob("*.json")))


def load(folder: Path, files: tuple[Path, ...]) -> dict[str, Listed]:
    """Return what ``files`` say of the images of ``folder``, by path relative to it.

    Raises:
        UserError: a file is not as it must be, or an image is listed twice; the file and key are named.
    """
    listed: dict[str, Listed] = {}
    for file in files:
        for name, image in _load(folder, file).items():
            if name in listed:
                raise UserError(f"{file}: images: {name!r} is listed twice, or in another file too.")
            listed[name] = image
    return listed


def categories(files: tuple[Path, ...]) -> list[str]:
    """Return the names of the categories of ``files`` by their ids; those that only a later file has come last.

    Raises:
        UserError: a file is not as it must be.
    """
    return list(
        dict.fromkeys(name for file in files for _, name in sorted(_categories(file, _read(file)).items()))
    )


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_coco(path: Path) -> bool:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False  # Some other JSON, which is not our business.
    return isinstance(values, dict) and all(isinstance(values.get(key), list) for key in KEYS)


def _read(file: Path) -> dict[str, list[Any]]:
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON: {error}") from None
    for key in KEYS:
        if not isinstance(values, dict) or not isinstance(values.get(key), list):
            found = nearest(key, values) if isinstance(values, dict) else ""
            raise UserError(f"{file}: {key}: COCO's JSON has a list of that name, and this has none.{found}")
    return values


def _load(folder: Path, file: Path) -> dict[str, Listed]:
    values = _read(file)
    names = _categories(file, values)
    paths, sizes = _images(folder, file, values["images"])
    objects: dict[int, list[Annotation]] = {id: [] for id in paths}
    for index, annotation in enumerate(values["annotations"]):
        where = f"{file}: annotations.{index}"
        if isinstance(annotation, dict) and "id" in annotation:
            where = f"{where} (id {annotation['id']})"
        image = _get(where, annotation, "image_id", int)
        if image not in objects:
            raise UserError(f"{where}: image_id: {image} is no id of 'images'.")
        objects[image].append(_annotation(where, annotation, names))
    return {path: Listed(tuple(objects[id]), sizes[id]) for id, path in paths.items()}


def _categories(file: Path, values: dict[str, list[Any]]) -> dict[int, str]:
    names: dict[int, str] = {}
    for index, category in enumerate(values["categories"]):
        where = f"{file}: categories.{index}"
        id, name = _get(where, category, "id", int), _get(where, category, "name", str)
        if id in names or name in names.values():
            raise UserError(f"{where}: its id {id} or its name {name!r} is another category's too.")
        names[id] = name
    return names


def _images(
    folder: Path, file: Path, images: list[Any]
) -> tuple[dict[int, str], dict[int, tuple[int, int] | None]]:
    """Return the path and the size of each image by its id."""
    paths: dict[int, str] = {}
    sizes: dict[int, tuple[int, int] | None] = {}
    for index, image in enumerate(images):
        where = f"{file}: images.{index}"
        id, name = _get(where, image, "id", int), _get(where, image, "file_name", str)
        if id in paths:
            raise UserError(f"{where}: id: {id} is another image's too, {paths[id]!r}.")
        path = _inside(where, folder, file, name)
        if path in paths.values():
            raise UserError(f"{where}: file_name: {name!r} is another image's too.")
        paths[id] = path
        sizes[id] = (image["width"], image["height"]) if {"width", "height"} <= image.keys() else None
    return paths, sizes


def _inside(where: str, folder: Path, file: Path, name: str) -> str:
    """Return the path in ``folder`` that ``name`` means."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: file_name: {name!r} is no path in the folder.")
    if file.parent.is_relative_to(folder) and (file.parent / path).is_file():
        return (file.parent / path).relative_to(folder).as_posix()
    return str(path)


def _annotation(where: str, values: dict[str, Any], names: dict[int, str]) -> Annotation:
    category = _get(where, values, "category_id", int)
    if category not in names:
        known = ", ".join(f"{id} {name}" for id, name in sorted(names.items())[:20])
        raise UserError(f"{where}: category_id: {category} is no id of 'categories': {known}.")
    return Annotation(
        where=where,
        category=names[category],
        box=box(f"{where}: bbox", values.get("bbox")),
        mask=_mask(f"{where}: segmentation", values.get("segmentation")),
        crowd=values.get("iscrowd", 0) == 1,
    )


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
        sound = isinstance(polygon, list) and all(_is_number(value) for value in polygon)
        if not sound or len(polygon) < 6 or len(polygon) % 2:
            raise UserError(f"{where}.{index}: a polygon is x and y in turn, of three points at least.")
    return tuple(tuple(float(value) for value in polygon) for polygon in values)


def _runs(where: str, values: dict[str, Any]) -> Runs:
    counts, size = values.get("counts"), values.get("size")
    if isinstance(counts, str):
        raise UserError(
            f"{where}.counts: is compressed. Lists of run lengths and polygons are read; pycocotools turns one into "
            "the other."
        )
    lists = all(isinstance(part, list) and all(type(value) is int and value >= 0 for value in part)
                for part in (counts, size))  # fmt: skip
    if not lists or len(size) != 2 or sum(counts) != size[0] * size[1]:
        raise UserError(
            f"{where}: 'counts' must be run lengths that add up to the pixels of 'size', [height, width]."
        )
    return Runs(tuple(counts), height=size[0], width=size[1])


def _get(where: str, values: Any, key: str, kind: type) -> Any:
    if not isinstance(values, dict) or type(values.get(key)) is not kind:
        found = values.get(key) if isinstance(values, dict) else values
        word = {int: "a whole number", str: "a text"}[kind]
        raise UserError(f"{where}: {key}: must be {word} (got {found!r}).")
    return values[key]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < float("inf")
