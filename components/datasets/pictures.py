"""The pictures of a data set, from ingest's shards to the tensors of prepare, some examples at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from components.datasets import instance_masks, manifest
from components.project.layout import ingested
from data import ahead, cores
from data.errors import UserError
from data.frames import Frame
from data.prepared import ENCODED
from data.spec import DatasetSpec

_PART = 64
"""Examples that a thread reads at a time: few, since decoded pictures are far larger than files."""


class Part(NamedTuple):
    """Some examples, one after the other in the manifest.

    Attributes:
        tensors: by name, [n, ...].
        histograms: by split, how often each value occurs in each channel of its images, int64 [C, 256].
    """

    tensors: dict[str, np.ndarray]
    histograms: dict[str, np.ndarray]


class Described(NamedTuple):
    """What the manifest says of one picture of the kind ``kind``."""

    kind: str
    id: str
    sha256: str
    format: str
    mode: str
    height: int
    width: int


class Pictures:
    """Reads the images of a data set, their inputs and their masks."""

    def __init__(
        self,
        dataset: str,
        rows: pd.DataFrame,
        split: np.ndarray,
        settings: DatasetSpec,
        classes: tuple[str, ...],
    ) -> None:
        """Open the contents of the examples ``rows``, which are of the splits ``split``."""
        self._rows, self._split, self._settings = rows, split, settings
        self._index = {name: number for number, name in enumerate(classes)}
        image = settings.image
        self._frames = {manifest.IMAGES: frame(settings, image.channels)}
        if settings.input_channels is not None:
            self._frames[manifest.INPUTS] = frame(settings, settings.input_channels)
        kinds = [*self._frames]
        if settings.objects is not None and settings.objects.masks:
            kinds.append(manifest.MASKS)
        self._contents = {kind: manifest.Contents(ingested(dataset), kind) for kind in kinds}
        self._described = {kind: _described(rows, kind) for kind in self._frames}

    @property
    def shards(self) -> tuple[Path, ...]:
        """The files that all contents lie in."""
        return self._contents[manifest.IMAGES].paths

    def parts(self) -> Iterator[Part]:
        """Yield all examples, in the order of the manifest, while threads read those that come next."""
        workers = min(8, cores.available())
        starts = range(0, len(self._rows), _PART)
        yield from ahead.results(self._part, starts, threads=workers, waiting=2 * workers)

    def _part(self, start: int) -> Part:
        stop = min(start + _PART, len(self._rows))
        tensors, histograms = {}, {}
        for kind in self._frames:
            if self._settings.is_encoded:
                tensors[ENCODED[kind]] = self._contents[kind].places[start:stop]
                decoded = self._looked_at(kind, start, stop)
            else:
                decoded = tensors[kind] = np.stack([self._array(kind, k) for k in range(start, stop)])
            if kind == manifest.IMAGES:
                histograms = self._histograms(decoded, start, stop)
        if manifest.MASKS in self._contents:
            tensors["masks"] = np.stack([self._mask(number) for number in range(start, stop)])
        return Part(tensors, histograms)

    def _looked_at(self, kind: str, start: int, stop: int) -> np.ndarray:
        """Check the bytes of files that stay encoded; return the pixels of those whose mean and deviation count."""
        found = []
        for number in range(start, stop):
            if kind == manifest.IMAGES and self._split[number] == "train":
                found.append(self._array(kind, number))
            else:
                check(self._described[kind][number], self._contents[kind][number])
        frame = self._frames[kind]
        return (
            np.stack(found) if found else np.empty((0, frame.height, frame.width, frame.channels), np.uint8)
        )

    def _histograms(self, decoded: np.ndarray, start: int, stop: int) -> dict[str, np.ndarray]:
        split = self._split[start:stop]
        if self._settings.is_encoded:
            return {"train": histogram(decoded)}
        return {name: histogram(decoded[split == name]) for name in np.unique(split)}

    def _array(self, kind: str, number: int) -> np.ndarray:
        return array(self._described[kind][number], self._contents[kind][number], self._frames[kind])

    def _mask(self, number: int) -> np.ndarray:
        row = self._rows.iloc[number]
        labels = np.array([self._index[name] for name in row["categories"]], np.int64)
        values = instance_masks.values(labels, np.asarray(row["crowd"], dtype=bool))
        image = self._settings.image
        return instance_masks.decode(
            self._contents[manifest.MASKS][number], values, image.height, image.width, image.fit
        )


def frame(settings: DatasetSpec, channels: int) -> Frame:
    """Return what is made of a picture of ``channels``."""
    image = settings.image
    return Frame(
        height=image.height,
        width=image.width,
        channels=channels,
        ground=image.ground,
        fit=image.fit,
        reduced=settings.is_encoded,
    )


def check(row: Described, content: bytes) -> None:
    """Compare the bytes of a picture with what ingest noted of them.

    Raises:
        UserError: they are others.
    """
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise UserError(f"{row.kind}: the bytes of {row.id} are not those of the manifest. Run ingest again.")


def array(row: Described, content: bytes, frame: Frame) -> np.ndarray:
    """Return the pixels of a picture, uint8 [H, W, C].

    Raises:
        UserError: the bytes are not those that ingest noted.
    """
    check(row, content)
    if row.format == "raw":
        return frame.of_image(Image.frombytes(row.mode, (row.width, row.height), content))[0]
    return frame.read(content)[0]


def histogram(images: np.ndarray) -> np.ndarray:
    """Return how often each value occurs in each channel of uint8 [N, H, W, C], int64 [C, 256]."""
    channels = range(images.shape[-1])
    return np.stack([np.bincount(images[..., channel].ravel(), minlength=256) for channel in channels])


def _described(rows: pd.DataFrame, kind: str) -> list[Described]:
    prefix = manifest.INPUT if kind == manifest.INPUTS else ""
    columns = ["id", *(f"{prefix}{name}" for name in ("sha256", "format", "mode", "height", "width"))]
    return [Described(kind, *values) for values in rows[columns].itertuples(index=False)]
