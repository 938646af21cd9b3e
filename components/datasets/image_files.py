"""Brings a folder of images in: the files that an earlier ingest did not describe are read, by threads ahead of use."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL

from components.datasets import described, instance_masks, manifest
from components.datasets.described import Described
from components.datasets.memo import KEY, UNKNOWN, Found, Memo, key
from components.datasets.parts import PartWriter
from data import ahead, cores
from data.captions import words
from data.errors import UserError
from data.objects import Objects, place
from data.sources import ImageFile, imagefolder
from data.spec import DatasetSpec
from data.text import parts

Example = tuple[dict[str, Any], *tuple[bytes | None, ...]]
"""A row of the manifest, the image's bytes and those of its input or its masks; None for one that does not decode."""

_CHUNK_FILES, _CHUNK_BYTES = 32, 8 << 20
"""What a thread reads at a time, at most: so many files, and no further one beyond so many bytes."""


class _Listed(NamedTuple):
    """An image file, when it was changed (ns), and the keys of it and of its input if it has one."""

    modified: int
    file: ImageFile
    keys: tuple[bytes, ...]


def basis(settings: DatasetSpec) -> str:
    """Return the SHA-256 of what the description of a file depends on: this code, its libraries, and settings."""
    found = hashlib.sha256(f"Pillow {PIL.__version__}, NumPy {np.__version__}".encode())
    found.update(settings.model_dump_json(include={"objects", "text", "captions", "input_channels"}).encode())
    found.update(repr(settings.image.ground).encode())
    for module in (described, cores, imagefolder):  # the packages components.datasets, data, data.sources
        for path in sorted(Path(module.__file__).parent.glob("*.py")):
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def write(
    files: list[tuple[int, ImageFile]], settings: DatasetSpec, writer: PartWriter, memo: Memo | None = None
) -> Found:
    """Write the examples of image files, and close ``writer``.

    Args:
        files: each with a time, in whose order they are written; ids settle what is of one time.
        settings: of the data set.
        writer: of parts.
        memo: what an earlier ingest found.

    Returns:
        What the next ingest can use.

    Raises:
        UserError: the files tell of objects, and the settings do not.
    """
    _require_objects(files, settings)
    pairs = settings.input_channels is not None
    listed = sorted(
        (_look(modified, file, pairs) for modified, file in files),
        key=lambda one: (one.modified, one.file.id),
    )
    keys = [bytearray(b"".join(kind)) for kind in zip(*map(_keys, listed), strict=True)]
    examples = bytes(keys[0])
    fresh = (one for one in listed if memo is None or not memo.knows(one.keys))
    with closing(_read_ahead(fresh, settings)) as read:
        position = 0
        while position < len(listed):
            part = memo.part_at(examples, position) if memo is not None and writer.at_start else None
            if part is not None:
                writer.link(part, memo.folder)
                position += part.count
                continue
            row, *contents = _example(listed[position], settings, memo, read)
            if any(row[name] is None for name in _HASHES if name in row):
                for kind in keys:  # It could not be read, and no change of the file may tell when it can.
                    kind[position * KEY : (position + 1) * KEY] = UNKNOWN
            writer.add(row, *contents)
            position += 1
    writer.close()
    of_examples, *of_files = map(bytes, keys)
    return Found(writer.parts, of_examples, of_files)


_HASHES = ("sha256", f"{manifest.INPUT}sha256")


def of_input(of_file: dict[str, Any]) -> dict[str, Any]:
    """Return what describes an input, as the columns of the manifest are called."""
    return {f"{manifest.INPUT}{name}": value for name, value in of_file.items()}


def of_objects(objects: Objects) -> dict[str, Any]:
    """Return the columns of the manifest that tell of objects."""
    return {
        "objects": len(objects.categories),
        "object_error": objects.error,
        "categories": list(objects.categories),
        "boxes": objects.boxes.ravel().tolist(),
        "crowd": list(objects.crowd),
    }


def _require_objects(files: list[tuple[int, ImageFile]], settings: DatasetSpec) -> None:
    if settings.input_channels is not None or settings.objects is not None:
        return
    if any(file.objects is not None for _, file in files):
        raise UserError(
            f"{settings.folder}: metadata.jsonl has 'objects', and the data set's dataset.yaml has none. Add to it: "
            "objects: {masks: false}"
        )


def _look(modified: int, file: ImageFile, pairs: bool) -> _Listed:
    of_its_input = (key(file.input.path),) if pairs and file.input is not None else ()
    return _Listed(modified, file, (key(file.path), *of_its_input))


def _keys(listed: _Listed) -> tuple[bytes, bytes, bytes]:
    """Return the keys of an example, of its image and of its input."""
    of_image, of_its_input = (*listed.keys, UNKNOWN)[:2]
    if UNKNOWN in listed.keys:
        return UNKNOWN, of_image, of_its_input
    told = repr((listed.file, listed.keys)).encode()
    return hashlib.sha256(told).digest()[:KEY], of_image, of_its_input


def _chunks(listed: Iterable[_Listed]) -> Iterator[list[_Listed]]:
    chunk: list[_Listed] = []
    size = 0
    for one in listed:
        chunk.append(one)
        size += _size(one.file.path)
        if len(chunk) == _CHUNK_FILES or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read_ahead(fresh: Iterable[_Listed], settings: DatasetSpec) -> Generator[Example, None, None]:
    """Yield the examples of files in their order, while threads read those that come next."""
    workers = cores.available()
    read = partial(_read, settings=settings)
    # Threads: Pillow and hashlib release the interpreter lock.
    for chunk in ahead.results(read, _chunks(fresh), threads=min(8, workers), waiting=workers):
        yield from chunk


def _example(listed: _Listed, settings: DatasetSpec, memo: Memo | None, read: Iterator[Example]) -> Example:
    if memo is None or not memo.knows(listed.keys):
        return next(read)
    found = memo.described(listed.keys)
    return _read([listed], settings)[0] if found is None else _assembled(listed.file, found, settings)


def _read(chunk: list[_Listed], settings: DatasetSpec) -> list[Example]:
    pairs = settings.input_channels is not None
    sources = [
        (source.path, source.nearest)
        for one in chunk
        for source in (one.file, one.file.input if pairs else None)
        if source is not None
    ]
    found = iter(described.files(sources, settings.image.ground))
    return [_assembled(one.file, [next(found) for _ in one.keys], settings) for one in chunk]


def _assembled(file: ImageFile, found: list[Described], settings: DatasetSpec) -> Example:
    """Return the example of an image file, of which (and of its input) ``found`` is the description."""
    (of_image, content), *inputs = found
    told = {"id": file.id, "source": file.id, "split": file.split, "label": file.label, "text": file.text}
    row = told | of_image
    if settings.text is not None and file.text is not None:
        row["symbols"] = parts(file.text, settings.text.separator)
    if settings.captions is not None and file.text is not None:
        row["words"] = words(file.text)
    if settings.input_channels is not None:
        return _pair(file, row, content, inputs)
    if settings.objects is not None:
        return _with_objects(file, row, content, masks=settings.objects.masks)
    return row, content


def _pair(file: ImageFile, row: dict[str, Any], content: bytes | None, inputs: list[Described]) -> Example:
    if not inputs:
        lacking = {"sha256": None, "decodes": False, "error": "the metadata name no input_file_name for it"}
        return row | of_input(lacking), content, None
    ((of_its_input, input_content),) = inputs
    return row | of_input({"source": file.input.id, **of_its_input}), content, input_content


def _with_objects(file: ImageFile, row: dict[str, Any], content: bytes | None, *, masks: bool) -> Example:
    """Return the row of an image with objects, its bytes and, with ``masks``, what each object covers."""
    nothing: tuple[None, ...] = (None,) if masks else ()
    if file.objects is None:
        return row | {"object_error": "nothing says which objects are in it"}, content, *nothing
    if not row["decodes"]:
        return row | {"objects": len(file.objects)}, content, *nothing
    objects = place(file.objects, row["width"], row["height"], masks=masks)
    found = of_objects(objects)
    size = (row["width"], row["height"])
    if file.size not in (None, size):
        found["object_error"] = (
            f"is {size[0]} x {size[1]} pixels, and was annotated as {file.size[0]} x {file.size[1]}"
        )
    return row | found, content, *([instance_masks.encode(objects.instances)] if masks else ())
