"""The pictures of a folder of images, made part by part: a night's new images leave those of the old parts as they are.

Pictures that stay files are looked at once, too: every part has its facts (``components/datasets/picture_files.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from components.datasets import instance_masks, manifest, parts, picture_files, picture_memo
from components.datasets.picture_files import Facts, Tensors
from components.datasets.picture_memo import FACTS, Made, PictureMemo
from components.datasets.pictures import PictureRow, array, frame, layout, require_levels
from components.project.layout import ingested
from data import ahead, cores, tensor_files
from data.image_shards import EncodedImages
from data.prepared import ENCODED, PIXELS, PIXELS_AT, SHARDS
from data.spec import DatasetSpec

_CHUNK = 64
"""Examples that a thread reads at a time: few, since decoded pictures are far larger than files."""


class _Chunk(NamedTuple):
    """Some rows of the manifest, which are of one part, and the contents of that part."""

    rows: list[dict[str, Any]]
    contents: EncodedImages


class PictureParts:
    """Makes the pictures of a data set's parts.

    Attributes:
        files: the parts' files of rows, in the order of their names.
        counts: how many examples each part has, int64 [P].
        made: what was made of each part.
    """

    def __init__(self, dataset: str, settings: DatasetSpec, classes: tuple[str, ...]) -> None:
        """Begin with the parts that ingest left of ``dataset``."""
        self._dataset, self._folder, self._settings = dataset, ingested(dataset), settings
        self._layout = layout(settings)
        self._index = {name: number for number, name in enumerate(classes)}
        self._frames = {manifest.IMAGES: frame(settings, settings.image.channels)}
        if settings.input_channels is not None:
            self._frames[manifest.INPUTS] = frame(settings, settings.input_channels)
        self._has_masks = settings.objects is not None and settings.objects.masks
        self._basis = picture_files.basis(settings, classes if self._has_masks else ())
        self.files = manifest.files(self._folder)
        self.counts = np.array([pq.ParquetFile(file).metadata.num_rows for file in self.files], np.int64)
        self.made: list[Made] = []

    def make(self, memos: Sequence[PictureMemo], folder: Path) -> None:
        """Make all parts, or take them from ``memos``; their files come into ``folder``, which becomes the next one."""
        picture_memo.begin(folder)
        keys = [picture_files.key(self._basis, file.name) for file in self.files]
        known = [
            self._known(key, memos, folder) if self._is_sound(file) else None
            for key, file in zip(keys, self.files, strict=True)
        ]
        fresh = (file for file, found in zip(self.files, known, strict=True) if found is None)
        workers = min(8, cores.available())
        chunks = self._chunks(fresh)
        # Threads: Pillow and hashlib release the interpreter lock.
        with closing(ahead.results(self._read, chunks, threads=workers, waiting=2 * workers)) as read:
            self.made = [
                self._write(int(count), read, folder) if found is None else found
                for found, count in zip(known, self.counts, strict=True)
            ]
        picture_memo.end(folder, dict(zip(keys, self.made, strict=True)))

    def _known(self, key: str, memos: Sequence[PictureMemo], folder: Path) -> Made | None:
        return next(filter(None, (memo.take(key, folder) for memo in memos)), None)

    def sums(self, folder: Path, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of the values and of their squares of the examples at ``places``, each int64 [C].

        Args:
            folder: that of :meth:`make`.
            places: int64 [n], those in all parts, one after the other.
        """
        chosen = np.zeros(self.counts.sum(), bool)
        chosen[places] = True
        facts = zip(self._facts(folder), np.split(chosen, np.cumsum(self.counts)[:-1]), strict=True)
        each = [
            (of_part.total[here].sum(axis=0), of_part.squares[here].sum(axis=0)) for of_part, here in facts
        ]
        total, squares = map(sum, zip(*each, strict=True))
        return total, squares

    def sha256(self, folder: Path) -> np.ndarray:
        """Return the hashes of the pixels of all examples, uint8 [N, 32]; ``folder`` is that of :meth:`make`."""
        return np.concatenate([facts.sha256 for facts in self._facts(folder)])

    def link(self, folder: Path, target: Path, places: np.ndarray) -> dict[str, np.ndarray]:
        """Link the files of all pictures into ``target``, a folder of prepared data.

        Args:
            folder: that of :meth:`make`.
            target: the files come into folders in it.
            places: int64 [N], of each example the place in all parts, one after the other.

        Returns:
            By the names of the tensors of prepared data: where the pictures of each example are in all files of their
            folder, one after the other by their names, int64 [N] in the order of ``places``.
        """
        found = {}
        if self._layout:
            paths = sorted({folder / PIXELS / made.pixels for made in self.made})
            _link(paths, target / PIXELS)
            found[PIXELS_AT] = self._pixels_at()[places]
        if self._settings.is_encoded:
            for kind in self._frames:
                contents = manifest.Contents(self._folder, kind)
                found[ENCODED[kind]] = contents.places
            _link(contents.paths, target / SHARDS)
        return found

    def _pixels_at(self) -> np.ndarray:
        counts = {made.pixels: int(count) for made, count in zip(self.made, self.counts, strict=True)}
        names = sorted(counts)
        starts = dict(zip(names, np.cumsum([0, *(counts[name] for name in names)]), strict=False))
        return np.concatenate([starts[made.pixels] + np.arange(counts[made.pixels]) for made in self.made])

    def _facts(self, folder: Path) -> Iterator[Facts]:
        for made in self.made:
            yield Facts(**tensor_files.maps(folder / FACTS / made.facts))

    def _is_sound(self, file: Path) -> bool:
        """Whether the files of a part are those that were looked at, where they are what is kept of it."""
        if not self._settings.is_encoded:
            return True
        shards = set(pq.ParquetFile(file).read(["shard"], use_threads=False)["shard"].to_pylist())
        return all(parts.digest(self._folder / manifest.SHARDS / name) == Path(name).stem for name in shards)

    def _chunks(self, files: Iterable[Path]) -> Iterator[_Chunk]:
        for file in files:
            rows = pq.ParquetFile(file).read(use_threads=False).to_pylist()
            contents = EncodedImages([self._folder / manifest.SHARDS / rows[0]["shard"]])
            for start in range(0, len(rows), _CHUNK):
                yield _Chunk(rows[start : start + _CHUNK], contents)

    def _read(self, chunk: _Chunk) -> tuple[Tensors, Facts]:
        tensors = {
            kind: np.stack([self._array(kind, row, chunk.contents) for row in chunk.rows])
            for kind in self._frames
        }
        images = tensors[manifest.IMAGES]
        require_levels(self._dataset, self._settings.image, images, [row["id"] for row in chunk.rows])
        if self._has_masks:
            tensors[manifest.MASKS] = np.stack([self._mask(row, chunk.contents) for row in chunk.rows])
        tensors = {name: tensors[name] for name in self._layout}
        return tensors, picture_files.describe(images, tensors)

    def _array(self, kind: str, row: dict[str, Any], contents: EncodedImages) -> np.ndarray:
        prefix = manifest.INPUT if kind == manifest.INPUTS else ""
        names = ("sha256", "format", "mode", "height", "width")
        described = PictureRow(kind, row["id"], *(row[f"{prefix}{name}"] for name in names))
        return array(described, contents[row[manifest.PLACES[kind]]], self._frames[kind])

    def _mask(self, row: dict[str, Any], contents: EncodedImages) -> np.ndarray:
        return instance_masks.of_row(
            contents[row[manifest.PLACES[manifest.MASKS]]], row, self._index, self._settings.image
        )

    def _write(self, count: int, read: Iterator[tuple[Tensors, Facts]], folder: Path) -> Made:
        """Write the next ``count`` examples of ``read`` as a part."""
        return picture_files.write(folder, self._layout, count, _next(read, count))


def _next(read: Iterator[tuple[Tensors, Facts]], count: int) -> Iterator[tuple[Tensors, Facts]]:
    """Yield the next ``count`` examples of ``read``, whose chunks end where parts do."""
    while count:
        tensors, facts = next(read)
        count -= len(facts.total)
        yield tensors, facts


def _link(paths: Iterable[Path], folder: Path) -> None:
    folder.mkdir()
    for path in paths:
        parts.link(path, folder / path.name)
