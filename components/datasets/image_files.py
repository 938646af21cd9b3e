"""Brings a folder of images in: the files that an earlier ingest did not describe are read ahead of their use."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from components.datasets import described, early_pictures, instance_masks, manifest
from components.datasets.described import Described
from components.datasets.early_pictures import EarlyPictures, Picture
from components.datasets.memo import KEY, UNKNOWN, Found, Memo, key
from components.datasets.parts import PartWriter
from data import ahead, cores, forks
from data.captions import words
from data.errors import UserError
from data.frames import Frame
from data.objects import Objects, place
from data.sources import ImageFile, imagefolder, origin, reading
from data.spec import DatasetSpec
from data.text import parts

Example = tuple[dict[str, Any], *tuple[bytes | None, ...]]
"""A row of the manifest, the image's bytes and those of its input or its masks; None for one that does not decode."""

Read = tuple[Example, Picture | None]
"""An example, and its picture where that is kept for prepare."""

_CHUNK_FILES, _CHUNK_BYTES = 32, 8 << 20
"""The most files that are read at a time, and the bytes beyond which no further one is."""

_MANY = 1024
"""From this many files on processes are worth the 20 ms that they take to start."""


def basis(settings: DatasetSpec) -> str:
    """Return the SHA-256 of what the description of a file depends on: this code, its libraries, and settings."""
    found = hashlib.sha256(f"Pillow {PIL.__version__}, NumPy {np.__version__}".encode())
    found.update(settings.model_dump_json(include={"objects", "text", "captions", "input_channels"}).encode())
    columns = settings.splits.columns + settings.metadata_columns
    found.update(repr((settings.image.ground, columns)).encode())
    for module in (described, cores, imagefolder):  # the packages components.datasets, data, data.sources
        for path in sorted(Path(module.__file__).parent.glob("*.py")):
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def write(
    files: Sequence[ImageFile],
    settings: DatasetSpec,
    writer: PartWriter,
    memo: Memo | None = None,
    pictures: EarlyPictures | None = None,
) -> Found:
    """Write the examples of image files in the order of the times of their changes, and close ``writer``.

    Args:
        files: sorted by id, which settles the order of what is of one time.
        settings: of the data set.
        writer: of parts.
        memo: what an earlier ingest found.
        pictures: where those of what is read are kept for prepare.

    Returns:
        What the next ingest can use.

    Raises:
        UserError: the files tell of objects, and the settings do not.
    """
    _require_objects(files, settings)
    listed = _Listed(files, pairs=settings.input_channels is not None)
    fresh = range(len(listed)) if memo is None else listed.unknown(memo)
    with closing(_read_ahead(listed, fresh, settings)) as read:
        position = 0
        while position < len(listed):
            part = memo.part_at(listed.examples, position) if memo is not None and writer.at_start else None
            if part is not None:
                writer.link(part, memo.folder)
                position += part.count
                continue
            (row, *contents), picture = _example(listed, position, settings, memo, read)
            if any(row[name] is None for name in manifest.HASHES if name in row):
                # It could not be read, and no change of the file may tell when it can.
                listed.forget(position)
            writer.add(row, *contents)
            if pictures is not None:
                pictures.add(picture)
                if writer.at_start:
                    pictures.end(writer.parts[-1])
            position += 1
    writer.close()
    if pictures is not None:
        pictures.end(writer.parts[-1])
    return Found(writer.parts, listed.examples, listed.files)


class _Listed:
    """Image files in the order in which they become examples, and their keys: some forty bytes each.

    Attributes:
        examples: keys of all examples, one after the other.
        files: likewise of their images and, of pairs, of their inputs.
    """

    def __init__(self, files: Sequence[ImageFile], *, pairs: bool) -> None:
        self._files, self._pairs = files, pairs
        self._order = np.argsort(_modified(files), kind="stable").astype(np.int32)
        self.examples = bytearray()
        self.files = [bytearray(), bytearray()] if pairs else [bytearray()]
        self._has_input = bytearray(len(files)) if pairs else bytearray()
        for position in range(len(files)):
            file = self[position]
            keys = self._look(position, file)
            told = (file.id, file.split, file.label, file.input, file.objects, file.size, file.text)
            told = repr((*told, file.nearest, file.group, file.time, file.metadata, file.modified, keys))
            self.examples += UNKNOWN if UNKNOWN in keys else hashlib.sha256(told.encode()).digest()[:KEY]
            for of_all, of_this in zip(self.files, (*keys, UNKNOWN), strict=False):
                of_all += of_this

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, position: int) -> ImageFile:
        return self._files[int(self._order[position])]

    def place(self, position: int) -> str:
        """Return where the image of an example is."""
        files, number = self._files, int(self._order[position])
        return files.place(number) if isinstance(files, imagefolder.ByFolder) else files[number].place

    def keys(self, position: int) -> tuple[bytes, ...]:
        """Return the keys of an example's image and, if it has one, of its input."""
        here = slice(position * KEY, (position + 1) * KEY)
        of_all = self.files if self._pairs and self._has_input[position] else self.files[:1]
        return tuple(bytes(of_each[here]) for of_each in of_all)

    def unknown(self, memo: Memo) -> np.ndarray:
        """Return the positions, ascending, of the examples of which a file was not described as it is."""
        known = memo.known(self.files[0])
        if self._pairs:
            known &= memo.known(self.files[1]) | (np.frombuffer(self._has_input, np.uint8) == 0)
        return np.flatnonzero(~known)

    def forget(self, position: int) -> None:
        """Make an example one that is read again."""
        for keys in (self.examples, *self.files):
            keys[position * KEY : (position + 1) * KEY] = UNKNOWN

    def _look(self, position: int, file: ImageFile) -> tuple[bytes, ...]:
        if not self._pairs or file.input is None:
            return (key(file.place),)
        self._has_input[position] = True
        return key(file.place), key(file.input.place)


def _modified(files: Sequence[ImageFile]) -> np.ndarray:
    if isinstance(files, imagefolder.ByFolder):
        return np.frombuffer(files.modified, np.int64)
    return np.fromiter((file.modified for file in files), np.int64, len(files))


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


def _require_objects(files: Sequence[ImageFile], settings: DatasetSpec) -> None:
    may_have = settings.input_channels is None and settings.objects is None
    if not may_have or isinstance(files, imagefolder.ByFolder):
        return
    if any(file.objects is not None for file in files):
        raise UserError(
            f"{settings.folder}: metadata.jsonl has 'objects', and the data set's dataset.yaml has none. Add to it: "
            "objects: {masks: false}"
        )


def _chunks(listed: _Listed, positions: Iterable[int]) -> Iterator[list[int]]:
    chunk: list[int] = []
    size = 0
    for position in positions:
        chunk.append(position)
        size += _size(listed.place(position))
        if len(chunk) == _CHUNK_FILES or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _size(path: str) -> int:
    try:
        return reading.status(path).st_size
    except OSError:
        return 0


def _read_ahead(listed: _Listed, fresh: Sequence[int], settings: DatasetSpec) -> Generator[Read, None, None]:
    """Yield the examples at the positions ``fresh``, in their order, while those that come next are read."""
    workers = min(8, cores.available())
    frame = early_pictures.frame_of(settings)

    def read(positions: list[int]) -> list[Read]:
        return _read([listed[position] for position in positions], settings, frame)

    chunks = _chunks(listed, map(int, fresh))
    if len(fresh) < _MANY or not forks.ARE_SAFE:
        found = ahead.results(read, chunks, threads=workers, waiting=workers)
    else:
        found = forks.results(read, chunks, processes=workers, waiting=2 * workers)
    with closing(found):
        for chunk in found:
            yield from chunk


def _example(
    listed: _Listed, position: int, settings: DatasetSpec, memo: Memo | None, read: Iterator[Read]
) -> Read:
    keys = listed.keys(position)
    if memo is None or not memo.knows(keys):
        return next(read)
    file, found = listed[position], memo.described(keys)
    return _read([file], settings)[0] if found is None else (_assembled(file, found, settings), None)


def _read(chunk: list[ImageFile], settings: DatasetSpec, frame: Frame | None = None) -> list[Read]:
    pairs = settings.input_channels is not None
    of_each = [[file, file.input] if pairs and file.input is not None else [file] for file in chunk]
    sources = [(source.place, source.nearest) for one in of_each for source in one]
    all_of_them = described.files(sources, settings.image.ground, frame)
    looked_at = iter(early_pictures.look([one.pixels for one in all_of_them if one.pixels is not None]))
    found = iter(all_of_them)
    read = []
    for file, sources_of_it in zip(chunk, of_each, strict=True):
        these = [next(found) for _ in sources_of_it]
        picture = None if these[0].pixels is None else next(looked_at)
        read.append((_assembled(file, these, settings), picture))
    return read


def _assembled(file: ImageFile, found: list[Described], settings: DatasetSpec) -> Example:
    """Return the example of an image file, of which (and of its input) ``found`` is the description."""
    (of_image, content, _), *inputs = found
    told = {"id": file.id, "source": file.id, "split": file.split, "label": file.label, "text": file.text}
    row = told | of_image | origin.columns(file.place, file.group, file.time, settings.splits)
    row |= zip(map(manifest.column, settings.metadata_columns), file.metadata, strict=False)
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
    ((of_its_input, input_content, _),) = inputs
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
