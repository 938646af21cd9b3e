"""The pictures of a folder of images, made part by part: a night's new images leave those of the old parts as they are.

To each part of ingest (``components/datasets/parts.py``) belongs one file of pixels, of its examples in their order and
of whatever split, named by its content. Of pictures that stay files there are no pixels, but they are looked at once,
too: every part has its facts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import pyarrow.parquet as pq

from components.datasets import instance_masks, manifest, parts, picture_memo
from components.datasets.picture_memo import FACTS, Made, PictureMemo
from components.datasets.pictures import Described, array, frame, layout, moments, require_levels
from components.datasets.shards import Shard
from components.project.layout import ingested
from data import ahead, cores, tensor_files
from data.image_shards import EncodedImages
from data.prepared import ENCODED, PIXELS, PIXELS_AT, SHARDS
from data.spec import DatasetSpec

_CHUNK = 64
"""Examples that a thread reads at a time: few, since decoded pictures are far larger than files."""

Tensors = dict[str, np.ndarray]


class Facts(NamedTuple):
    """What is known of the pictures of some examples, each an array [n, ...].

    Attributes:
        sha256: of the pixels of an example, uint8 [n, 32]: of its image, its input and its mask, one after the other;
            of nothing where they stay files.
        total: the sum of its image's values in each channel, int64 [n, C].
        squares: the sum of their squares, int64 [n, C].
    """

    sha256: np.ndarray
    total: np.ndarray
    squares: np.ndarray


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
        self._basis = _basis(settings, classes if self._has_masks else ())
        self.files = manifest.files(self._folder)
        self.counts = np.array([pq.ParquetFile(file).metadata.num_rows for file in self.files], np.int64)
        self.made: list[Made] = []

    def make(self, memo: PictureMemo, folder: Path) -> None:
        """Make all parts, or take them from ``memo``; their files come into ``folder``, which becomes the next memo."""
        picture_memo.begin(folder)
        keys = [hashlib.sha256(f"{self._basis} {file.name}".encode()).hexdigest() for file in self.files]
        known = [
            memo.take(key, folder) if self._is_sound(file) else None
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
        hashes = [hashlib.sha256(b"".join(row)) for row in zip(*tensors.values(), strict=True)]
        hashes = hashes or [hashlib.sha256()] * len(images)
        sha256 = np.frombuffer(b"".join(one.digest() for one in hashes), np.uint8).reshape(-1, 32)
        return tensors, Facts(sha256, *moments(images))

    def _array(self, kind: str, row: dict[str, Any], contents: EncodedImages) -> np.ndarray:
        prefix = manifest.INPUT if kind == manifest.INPUTS else ""
        names = ("sha256", "format", "mode", "height", "width")
        described = Described(kind, row["id"], *(row[f"{prefix}{name}"] for name in names))
        return array(described, contents[row[manifest.PLACES[kind]]], self._frames[kind])

    def _mask(self, row: dict[str, Any], contents: EncodedImages) -> np.ndarray:
        return instance_masks.of_row(
            contents[row[manifest.PLACES[manifest.MASKS]]], row, self._index, self._settings.image
        )

    def _write(self, count: int, read: Iterator[tuple[Tensors, Facts]], folder: Path) -> Made:
        """Write the next ``count`` examples of ``read`` as a part."""
        unnamed, found = folder / PIXELS / ".part", []
        shard = Shard(unnamed, count, self._layout) if self._layout else None
        while count:
            tensors, facts = next(read)
            found.append(facts)
            count -= len(facts.total)
            if shard is not None:
                shard.write(tensors)
        if shard is not None:
            shard.close()
        of_all = Facts(*map(np.concatenate, zip(*found, strict=True)))
        (folder / FACTS / ".part").write_bytes(tensor_files.encode(of_all._asdict()))
        return Made(
            parts.name_by_content(folder / FACTS / ".part", ".safetensors"),
            None if shard is None else parts.name_by_content(unnamed, ".safetensors"),
        )


def _link(paths: Iterable[Path], folder: Path) -> None:
    folder.mkdir()
    for path in paths:
        parts.link(path, folder / path.name)


def _basis(settings: DatasetSpec, classes: tuple[str, ...]) -> str:
    """Return the SHA-256 of what pictures depend on beside a part: this code, its libraries, and settings."""
    found = hashlib.sha256(f"Pillow {PIL.__version__}, NumPy {np.__version__}".encode())
    told = (settings.image, settings.is_encoded, settings.input_channels, classes)
    found.update(repr(told).encode())
    for module in (parts, cores):  # the packages components.datasets, data
        for path in sorted(Path(module.__file__).parent.glob("*.py")):
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
