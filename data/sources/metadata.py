"""What ``metadata.jsonl`` or ``metadata.csv`` say of each image, in the convention of Hugging Face's ``imagefolder``.

A line names a file, ``file_name``, from the folder that the metadata lie in. Several lines of one file are joined where
all they say is ``objects``; else the second is refused, so that no line ever replaces another.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from data.errors import UserError
from data.objects import Annotation
from data.sources import coco, origin
from data.sources.description import Description
from data.sources.file_names import FileNames, is_writable


def read(
    folder: Path, files: list[str], there: FileNames, columns: Sequence[str] = ()
) -> dict[str, Description]:
    """Return what the metadata ``files`` of ``folder`` say, by the path of the image in it; of other keys, ``columns``.

    Raises:
        UserError: the files are of two kinds, or a line is not as it must be; file and line are named.
    """
    kinds = {PurePosixPath(file).suffix.lower(): file for file in files}
    if ".parquet" in kinds:
        raise UserError(
            f"{folder / kinds['.parquet']}: is not read. Write it as metadata.jsonl or metadata.csv."
        )
    if len(kinds) > 1:
        named = " and ".join(sorted(kinds.values()))
        raise UserError(
            f"{folder}: {named} are both there, and only one kind of metadata can be. Remove one."
        )
    labels, categories = _Names("label"), _Names("category")
    found: dict[str, Description] = {}
    for file in files:
        rows = _of_csv(folder / file) if kinds.keys() == {".csv"} else _of_json(folder / file)
        for where, values in rows:
            name, line = _parse(where, values, PurePosixPath(file).parent, there, columns)
            labels.add(where, values.get("label"), line.label)
            if line.objects is not None:
                for told in values["objects"]["categories"]:
                    categories.add(where, told, str(told))
            found[name] = _join(name, found[name], line) if name in found else line
    return found


class _Names:
    """The names of classes so far: all of one type, and no number written in two ways."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._types: dict[type, str] = {}
        self._numbers: dict[float, tuple[str, str]] = {}

    def add(self, where: str, value: Any, name: str | None) -> None:
        if name is None:
            return
        self._types.setdefault(type(value), where)
        if len(self._types) > 1:
            (first_type, first), *_ = self._types.items()
            raise UserError(
                f"{where}: {self._what} {json.dumps(value)} is {_TYPES[type(value)]}, and that of {first} is "
                f'{_TYPES[first_type]}. Write all in one way: nothing tells whether 1 and "1" are one class.'
            )
        if re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", name, re.ASCII):
            other, first = self._numbers.setdefault(float(name), (name, where))
            if other != name:
                raise UserError(
                    f"{where}: {self._what} {name!r} is the same number as {other!r} of {first}. Write it in one "
                    "way: nothing tells whether they are one class."
                )


_TYPES = {str: "a text", int: "a whole number", bool: "true or false"}


def _of_json(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    # Only line feeds end a line: others, such as U+2028, may stand inside of a text.
    for number, line in enumerate(_text_of(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            try:
                values = json.loads(line, object_pairs_hook=_unique)
                if not is_writable(json.dumps(values, ensure_ascii=False)) or r"\u0000" in line:
                    raise ValueError("it has a character that no file can hold")
            except (ValueError, RecursionError) as error:
                raise UserError(f"{where}: not a line of JSON: {error}") from None
            if not isinstance(values, dict) or not isinstance(values.get("file_name"), str):
                keys = values if isinstance(values, dict) else []
                raise UserError(f"{where}: needs a 'file_name'{_instead('file_name', keys)}.")
            yield where, values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return values


def _of_csv(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows below the head; a cell without anything in it is None."""
    reader = csv.reader(io.StringIO(_text_of(path), newline=""), strict=True)
    head: list[str] | None = None
    last = 0
    try:
        for cells in reader:
            where, last = f"{path}:{last + 1}", reader.line_num
            if not any(cells):
                continue
            if head is None:
                head = [cell.strip() for cell in cells]
                _check_head(where, head)
                continue
            if len(cells) != len(head):
                raise UserError(f"{where}: {len(cells)} cells, and the head has {len(head)}.")
            values = {key: cell or None for key, cell in zip(head, cells, strict=True)}
            if values["file_name"] is None:
                raise UserError(f"{where}: file_name: is empty.")
            if (values.get("label") or "").strip().lower() == "nan":
                raise UserError(
                    f"{where}: label {values['label']!r} is no class. Where there is none, leave it empty."
                )
            yield where, values
    except csv.Error as error:
        raise UserError(f"{path}:{last + 1}: not a row of CSV: {error}") from None
    if head is None:
        raise UserError(f"{path}:1: needs a head with 'file_name', and is empty.")


def _check_head(where: str, head: list[str]) -> None:
    for index, name in enumerate(head):
        if name in head[:index]:
            raise UserError(f"{where}: two columns are called {name!r}.")
    if "file_name" not in head:
        raise UserError(
            f"{where}: needs a column 'file_name'{_instead('file_name', head)}. Columns are separated by commas."
        )
    if "objects" in head:
        raise UserError(f"{where}: objects: a table has none. Write them into metadata.jsonl.")


def _text_of(path: Path) -> str:
    """Return what is written in a file; a byte order mark, which Windows puts first, is none of it."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def _parse(
    where: str, values: dict[str, Any], parent: PurePosixPath, there: FileNames, columns: Sequence[str]
) -> tuple[str, Description]:
    """Return the path of an image in the folder and what a line says of it; names are meant from ``parent``."""
    for key, cutoff in (("label", 0.6), ("input_file_name", 0.8), ("objects", 0.6)):
        others = values.keys() - {"file_name"}
        if key not in values and (instead := _instead(key, others, cutoff)):
            raise UserError(f"{where}: needs {'a' if key == 'label' else 'an'} {key!r}{instead}.")
    named = {
        key: _inside(where, key, values[key], parent)
        for key in ("file_name", "input_file_name")
        if values.get(key) is not None
    }
    found = {key: there.find(f"{where}: {key}", path) for key, path in named.items()}
    paths = {key: found[key] or path for key, path in named.items()}
    nearest = {key: there.nearest(path) for key, path in named.items() if found[key] is None}
    line = Description(
        label=_label(where, values.get("label")),
        input=paths.get("input_file_name"),
        objects=_objects(f"{where}: objects", values["objects"]) if "objects" in values else None,
        text=_text(where, values),
        group=origin.group(values),
        time=origin.time(values),
        metadata=origin.metadata(where, values, columns),
        where=where,
        nearest=nearest.get("file_name"),
        nearest_input=nearest.get("input_file_name"),
    )
    return paths["file_name"], line


def _label(where: str, value: Any) -> str | None:
    """Return the class that a line gives, None where it is missing or empty."""
    if isinstance(value, bool):
        return json.dumps(value)
    if value is not None and not isinstance(value, int | str):
        raise UserError(f"{where}: label {json.dumps(value)} is no class: a text or a whole number.")
    # Letters with accents can be written as one character or as two: they become one.
    return unicodedata.normalize("NFC", str(value)).strip() or None if value is not None else None


def _text(where: str, values: dict[str, Any]) -> str | None:
    """Return the transcript or caption that a line gives, None where it is missing or empty."""
    text = values.get("text")
    if text is not None and not isinstance(text, str):
        raise UserError(f"{where}: text {text!r} is no text: write it in quotes, as it is to be read.")
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
            category=unicodedata.normalize("NFC", str(category)),
            box=coco.box(f"{where}.bbox.{index}", box),
        )
        for index, (box, category) in enumerate(zip(boxes, categories, strict=True))
    )


def _join(name: str, first: Description, second: Description) -> Description:
    """Return what two lines say of one image together."""
    beside = (second.label, second.input, second.text, second.group, second.time, *second.metadata)
    if (
        second.objects is None
        or first.objects is None
        or beside
        not in (
            (None,) * len(beside),
            (first.label, first.input, first.text, first.group, first.time, *first.metadata),
        )
    ):
        raise UserError(
            f"{second.where}: {name!r} is told of already, in {first.where}. Only lines of 'objects' are joined: "
            "say all else of an image in one."
        )
    told = {(one.category, one.box): one.where for one in first.objects}
    for one in second.objects:
        if there := told.get((one.category, one.box)):
            raise UserError(f"{one.where}: is the same object of {name!r} as {there}.")
    return replace(first, objects=(*first.objects, *second.objects))


def _inside(where: str, key: str, value: object, parent: PurePosixPath) -> str:
    """Return the path in the folder that ``value`` names."""
    if not isinstance(value, str) or not value:
        raise UserError(f"{where}: {key} {value!r} is no name of a file.")
    name = PurePosixPath(value)
    if name.is_absolute() or ".." in PurePosixPath(value.replace("\\", "/")).parts:
        raise UserError(f"{where}: {key} {str(name)!r} leads out of the folder.")
    return str(parent / name)


def _instead(key: str, found: Iterable[str], cutoff: float = 0.6) -> str:
    """Return words on a misspelt key, if one of those found is close to ``key``."""
    close = difflib.get_close_matches(key, list(found), n=1, cutoff=cutoff)
    return f", and has {close[0]!r}" if close else ""
