"""The pictures of data that change as a whole, from ingest's shards to prepare's tensors, some examples at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from components.datasets import instance_masks, manifest
from components.project.layout import dataset_file, ingested
from data import ahead, cores
from data.errors import UserError
from data.frames import Frame
from data.spec import DatasetSpec, ImageSpec
from data.tensor_files import Layout

if TYPE_CHECKING:
    import pandas as pd  # ingest does without

_PART = 64
"""Examples that a thread reads at a time: few, since decoded pictures are far larger than files."""


class Part(NamedTuple):
    """Some examples, one after the other in the manifest.

    Attributes:
        tensors: by name, [n, ...].
        total: the sum of the images' values in each channel, over those of train, int64 [C].
        squares: the sum of their squares, int64 [C].
    """

    tensors: dict[str, np.ndarray]
    total: np.ndarray
    squares: np.ndarray


class PictureRow(NamedTuple):
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
        folder: Path | None = None,
    ) -> None:
        """Open the contents of the examples ``rows``, which are of the splits ``split``, in ``folder`` or ingest's."""
        self._dataset, self._rows, self._split, self._settings = dataset, rows, split, settings
        self._index = {name: number for number, name in enumerate(classes)}
        self._frames = {manifest.IMAGES: frame(settings, settings.image.channels)}
        if settings.input_channels is not None:
            self._frames[manifest.INPUTS] = frame(settings, settings.input_channels)
        kinds = [*self._frames]
        if settings.objects is not None and settings.objects.masks:
            kinds.append(manifest.MASKS)
        self._contents = {kind: manifest.Contents(folder or ingested(dataset), kind) for kind in kinds}
        self._described = {kind: _described(rows, kind) for kind in self._frames}

    def parts(self) -> Iterator[Part]:
        """Yield all examples, in the order of the manifest, while threads read those that come next."""
        workers = min(8, cores.available())
        starts = range(0, len(self._rows), _PART)
        yield from ahead.results(self._part, starts, threads=workers, waiting=2 * workers)

    def _part(self, start: int) -> Part:
        stop = min(start + _PART, len(self._rows))
        numbers = range(start, stop)
        tensors = {kind: np.stack([self._array(kind, k) for k in numbers]) for kind in self._frames}
        images = tensors[manifest.IMAGES]
        require_levels(self._dataset, self._settings.image, images, self._rows["id"].iloc[start:stop])
        if manifest.MASKS in self._contents:
            tensors["masks"] = np.stack([self._mask(number) for number in numbers])
        total, squares = moments(images[self._split[start:stop] == "train"])
        return Part(tensors, total.sum(axis=0), squares.sum(axis=0))

    def _array(self, kind: str, number: int) -> np.ndarray:
        return array(self._described[kind][number], self._contents[kind][number], self._frames[kind])

    def _mask(self, number: int) -> np.ndarray:
        content = self._contents[manifest.MASKS][number]
        return instance_masks.of_row(content, self._rows.iloc[number], self._index, self._settings.image)


def layout(settings: DatasetSpec) -> Layout:
    """Return the tensors of an example that are kept as pixels."""
    image = settings.image
    channels = {manifest.IMAGES: image.channels, manifest.INPUTS: settings.input_channels}
    kept: dict[str, tuple[int, ...]] = {}
    if not settings.is_encoded:
        kept = {
            kind: (image.height, image.width, count) for kind, count in channels.items() if count is not None
        }
    if settings.objects is not None and settings.objects.masks:
        kept[manifest.MASKS] = (image.height, image.width)
    return {name: (np.uint8, shape) for name, shape in kept.items()}


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


def array(row: PictureRow, content: bytes, frame: Frame) -> np.ndarray:
    """Return the pixels of a picture, uint8 [H, W, C].

    Raises:
        UserError: the bytes are not those that ingest noted.
    """
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise UserError(f"{row.kind}: the bytes of {row.id} are not those of the manifest. Run ingest again.")
    if row.format == "raw":
        return frame.of_image(Image.frombytes(row.mode, (row.width, row.height), content))[0]
    return frame.read(content)[0]


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of the values of uint8 [N, H, W, C] and of their squares, each int64 [N, C]."""
    # Channels first: sums over what lies side by side are ten times as fast.
    num, height, width, channels = images.shape  # -1 would be refused where there are no images
    values = np.ascontiguousarray(images.reshape(num, height * width, channels).transpose(0, 2, 1))
    squares = np.square(values, dtype=np.uint16)
    return values.sum(axis=2, dtype=np.int64), squares.sum(axis=2, dtype=np.int64)


def require_levels(dataset: str, image: ImageSpec, images: np.ndarray, ids: Sequence[str]) -> None:
    """Check that ``images`` uint8 [N, H, W, C] have ``image.levels`` alone: likelihoods count them.

    Raises:
        UserError: one of ``ids`` has a value between two levels.
    """
    if image.levels == 256:
        return
    allowed = np.zeros(256, bool)
    allowed[np.rint(np.arange(image.levels) * 255 / (image.levels - 1)).astype(int)] = True
    between = np.argwhere(~allowed[images])
    if len(between):
        first = tuple(between[0])
        raise UserError(
            f"{dataset_file(dataset)}: image.levels: {image.levels}, but {list(ids)[first[0]]} has the value"
            f" {images[first]}, which is none of them. A resized image needs 256."
        )


def _described(rows: pd.DataFrame, kind: str) -> list[PictureRow]:
    prefix = manifest.INPUT if kind == manifest.INPUTS else ""
    columns = ["id", *(f"{prefix}{name}" for name in ("sha256", "format", "mode", "height", "width"))]
    return [PictureRow(kind, *values) for values in rows[columns].itertuples(index=False)]
