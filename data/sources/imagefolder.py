"""A user's own folder of images, in the convention of Hugging Face's ``imagefolder``.

A file's class is the name of the folder that it lies in, or, where there is a ``metadata.jsonl`` with a line
``{"file_name": ..., "label": ...}`` per image, what that says. Folders at the top that are named as splits
give the splits: ``train``, ``validation`` (or ``valid``, ``val``, ``dev``), ``test`` (or ``eval``).

Pairs for translation: each line also has ``"input_file_name"``, the image that ``file_name`` is the translation of.
Transcripts: each line also has ``"text"``, what is written in the image.
Captions: each line also has ``"text"``, what the image shows; the folders are the classes where no line has a label.
Pairs, or images with transcripts, of which none has a label are of one class, ``all``.

Objects for detection: each line has ``"objects": {"bbox": [[x, y, width, height], ...], "categories": [...]}``, in
pixels, categories by name or number; or COCO's JSON (``data/sources/coco.py``) says it, and which images are examples.
"""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from data.errors import UserError, nearest
from data.objects import Annotation
from data.sources import ImageFile, InputFile, coco
from data.sources.listing import METADATA, SUFFIXES, Entry, printable

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
"""What a folder may be called to be taken for a split."""

UNLABELLED = "all"
"""The class of pairs and of transcribed images of which none has a label: their tasks need none."""


@dataclass(frozen=True)
class _Line:
    """What is said of an image: its class, its input (a path in the folder), its objects, its size and its text."""

    label: str | None = None
    input: str | None = None
    objects: tuple[Annotation, ...] | None = None
    size: tuple[int, int] | None = None
    text: str | None = None


def load(
    folder: Path, entries: list[Entry], files: tuple[Path, ...] = (), *, captions: bool = False
) -> list[ImageFile]:
    """Return the image files of ``folder``, sorted by id; images are not opened.

    Args:
        folder: the user's folder.
        entries: what :func:`data.sources.listing.scan` said is in it.
        files: COCO's JSON of its images.
        captions: the texts of ``metadata.jsonl`` are captions, else transcripts.

    Raises:
        UserError: there is no image, images with captions have no class, folders that are splits and folders that are
            none lie side by side, or a ``metadata.jsonl`` or a COCO file is not as it must be.
    """
    images = [entry.path for entry in entries if PurePosixPath(entry.path).suffix.lower() in SUFFIXES]
    if not images:
        raise UserError(
            f"{folder}: no image in it. Images are told by their ending, for example .jpg, .png, .webp."
        )
    metadata = [entry.path for entry in entries if PurePosixPath(entry.path).name == METADATA]
    splits = _split_folders(folder, [*images, *metadata])
    if files:
        listed = coco.load(folder, files)
        lines = {path: _Line(objects=image.objects, size=image.size) for path, image in listed.items()}
        images = list(lines)
    elif metadata:
        lines = _read_metadata(folder, metadata)
    else:
        lines = {path: _Line(_label_by_folder(path, splits)) for path in images}
    inputs = {line.input for line in lines.values() if line.input is not None}
    has_texts = any(line.text is not None for line in lines.values())
    unlabelled = all(line.label is None for line in lines.values())
    if captions and unlabelled:
        lines = _labelled_by_folder(folder, lines, splits)
    elif (inputs or has_texts) and unlabelled:
        lines = {path: replace(line, label=UNLABELLED) for path, line in lines.items()}
    # A file that metadata.jsonl names and that is not there becomes a row too: ingest says that it cannot be
    # read. An input is no example of its own, unless a line says so.
    return [
        ImageFile(
            id=printable(path),
            path=folder / path,
            split=splits.get(_top(path), ""),
            label=line.label,
            input=InputFile(id=printable(line.input), path=folder / line.input) if line.input else None,
            objects=line.objects,
            size=line.size,
            text=line.text,
        )
        for path in sorted({*images, *lines} - (inputs - lines.keys()))
        for line in [lines.get(path, _Line())]
    ]


def _split_folders(folder: Path, paths: list[str]) -> dict[str, str]:
    """Return which top folders are splits, and of what; none are unless all are."""
    tops = {_top(path) for path in paths}
    named = {top: SPLIT_NAMES[top.lower()] for top in tops if top.lower() in SPLIT_NAMES}
    others = sorted(top for top in tops - named.keys() if top)
    if not named:
        return {}
    # A split holds class folders or metadata.jsonl; a class that happens to be called "train" holds images
    # alone.
    is_split = {
        _top(path)
        for path in paths
        if _top(path) in named and (path.count("/") > 1 or path.endswith(f"/{METADATA}"))
    }
    if others and is_split:
        raise UserError(
            f"{folder}: {others[0]!r} lies beside the split {min(is_split)!r} and is no split itself."
            f"{nearest(others[0], SPLIT_NAMES)}"
        )
    return {} if others else named


def _top(path: str) -> str:
    return path.split("/", 1)[0] if "/" in path else ""


def _label_by_folder(path: str, splits: dict[str, str]) -> str | None:
    parent = PurePosixPath(path).parent
    return None if parent == PurePosixPath(".") or str(parent) in splits else parent.name


def _labelled_by_folder(folder: Path, lines: dict[str, _Line], splits: dict[str, str]) -> dict[str, _Line]:
    labels = {path: _label_by_folder(path, splits) for path in lines}
    if all(label is None for label in labels.values()):
        raise UserError(
            f"{folder}: no image has a class, by which images that are made from captions are judged. Put them into "
            f"class folders, or give each line of {METADATA} a 'label'."
        )
    return {path: replace(line, label=labels[path]) for path, line in lines.items()}


def _read_metadata(folder: Path, files: list[str]) -> dict[str, _Line]:
    found: dict[str, _Line] = {}
    for file in files:
        path = folder / file
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                name, parsed = _parse_line(f"{path}:{number}", line, PurePosixPath(file).parent)
                found[name] = parsed
    return found


def _parse_line(where: str, line: str, parent: PurePosixPath) -> tuple[str, _Line]:
    """Return the path of an image in the folder and what the line says of it; names are meant from ``parent``."""
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not a line of JSON: {error}") from None
    if not isinstance(values, dict) or not isinstance(values.get("file_name"), str):
        keys = values if isinstance(values, dict) else []
        raise UserError(f"{where}: needs a 'file_name'{_instead('file_name', keys)}.")
    for key, cutoff in (("label", 0.6), ("input_file_name", 0.8), ("objects", 0.6)):
        others = values.keys() - {"file_name"}
        if key not in values and (instead := _instead(key, others, cutoff)):
            raise UserError(f"{where}: needs {'a' if key == 'label' else 'an'} {key!r}{instead}.")
    label = values.get("label")
    paths = {
        key: _inside(where, key, values[key], parent)
        for key in ("file_name", "input_file_name")
        if key in values
    }
    line = _Line(
        None if label in (None, "") else str(label),
        paths.get("input_file_name"),
        _objects(f"{where}: objects", values["objects"]) if "objects" in values else None,
        text=_text(where, values),
    )
    return paths["file_name"], line


def _text(where: str, values: dict) -> str | None:
    """Return the transcript or caption that a line gives, None where it is missing or empty."""
    text = values.get("text")
    if text is not None and not isinstance(text, str):
        raise UserError(f"{where}: text {text!r} is no text: write it in quotes, as it is to be read.")
    # Letters with accents can be written as one character or as two: they become one.
    return unicodedata.normalize("NFC", text) if text else None


def _objects(where: str, values: object) -> tuple[Annotation, ...]:
    """Return the objects of a line: ``bbox`` and ``categories`` side by side."""
    keys = ("bbox", "categories")
    for key in keys:
        if not isinstance(values, dict) or not isinstance(values.get(key), list):
            instead = _instead(key, values) if isinstance(values, dict) else ""
            raise UserError(f"{where}: needs lists 'bbox' and 'categories'{instead}.")
    boxes, categories = (values[key] for key in keys)
    if len(boxes) != len(categories):
        raise UserError(f"{where}: {len(boxes)} in 'bbox' and {len(categories)} in 'categories'.")
    for index, category in enumerate(categories):
        if type(category) not in (int, str) or category == "":
            raise UserError(f"{where}.categories.{index}: {category!r} is no name and no whole number.")
    return tuple(
        Annotation(
            where=f"{where}.{index}",
            category=str(category),
            box=coco.box(f"{where}.bbox.{index}", box),
        )
        for index, (box, category) in enumerate(zip(boxes, categories, strict=True))
    )


def _inside(where: str, key: str, value: object, parent: PurePosixPath) -> str:
    """Return the path in the folder that ``value`` names."""
    if not isinstance(value, str) or not value:
        raise UserError(f"{where}: {key} {value!r} is no name of a file.")
    name = PurePosixPath(value)
    if name.is_absolute() or ".." in name.parts:
        raise UserError(f"{where}: {key} {str(name)!r} leads out of the folder.")
    return str(parent / name)


def _instead(key: str, found: Iterable[str], cutoff: float = 0.6) -> str:
    """Return words on a misspelt key, if one of those found is close to ``key``."""
    close = difflib.get_close_matches(key, list(found), n=1, cutoff=cutoff)
    return f", and has {close[0]!r}" if close else ""
