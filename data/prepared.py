"""Prepared data: memory-mapped uint8 tensors of a data set, split once and read by every later stage.

Folder layout, written by the ``prepare`` stage::

    spec.json                    DataSpec
    ids.json                     {"train": [id, ...], "validation": [...], "test": [...]}
    train-00000.safetensors      images uint8 [N, H, W, C], labels int64 [N], contents int64 [N]; more shards as needed;
                                 and what the task needs: inputs uint8 [N, H, W, C_in], or
                                 landmarks float32 [N, L, 2] and identities int64 [N], or
                                 texts int64 [N, L], or
                                 captions int64 [N, L], or
                                 boxes float32 [N, M, 4], box_labels int64 [N, M] and, where there are
                                 masks, masks uint8 [N, H, W]
    validation-00000.safetensors
    test-00000.safetensors

Of a folder of images, which changes by some files at a time, all pictures of an example, of whatever split, are in
``pixels/``, in a file for each part of ingest; ``pixels_at``, int64 [N], is in the place of ``images``, ``inputs`` and
``masks``. Of ``storage: encoded`` images and inputs are in ``images/``, files as they were found in shards that are
those of ingest; ``images_at`` and ``inputs_at``, int64 [N], are in the place of ``images`` and ``inputs``.

Images are stored channels last, which is what an image file decodes to, what the exported graphs take, and
what ``permute(0, 3, 1, 2)`` turns into PyTorch's channels-last memory format without a copy.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data import kinds, tensor_files
from data.arrays import Array, PlacedArray, joined
from data.encoded import EncodedArray
from data.errors import UserError
from data.fit import Fit
from data.frames import Frame
from data.image_shards import EncodedImages
from data.images import WHITE

SPLITS = ("train", "validation", "test")

ENCODED = {"images": "images_at", "inputs": "inputs_at"}
"""What is in place of pictures that stay files: int64 [N], where each is in all shards of ``images/`` together."""

PIXELS = "pixels"
"""The folder of the files of pixels that are no split's, in the order of their names."""

PIXELS_AT = "pixels_at"
"""What is in place of their tensors: int64 [N], where each example is in all files of ``pixels/`` together."""

SHARDS = "images"
"""The folder of the shards of files (``data/image_shards.py``), in the order of their names."""

PICTURES = ("images", "inputs", "masks")
"""The tensors of a split that may be larger than memory; all others are small, and lie in it."""

NO_OBJECT = -1
"""In place of a class: an image of detection, and a place among its boxes that holds none."""

UNCOUNTED = 255
"""On a mask: what belongs to a crowd, and is right whatever is answered there."""


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What a model must know of its data.

    Attributes:
        name: the data set, as in ``params.yaml``.
        task: what it is for, one of :data:`.kinds.KINDS`: ``classification`` (one class per image), ``translation`` (an
            input image for each image), ``reenactment`` (faces with landmarks, of people with several images each),
            ``transcription`` (a text for each image), ``text_to_image`` (a caption for each image, which is of one
            class as well), ``controlled_generation`` (so, and an input image that says where everything is), or
            ``detection`` (any number of objects in each image, with a box and maybe a mask).
        classes: class names; a label is an index into them.
        height: rows of an image, in pixels.
        width: columns of an image, in pixels.
        channels: 1 (grey) or 3 (RGB).
        levels: how many values a pixel can really take: 256, or 17 for the packaged digits. Level ``k`` is
            stored as ``round(k * 255 / (levels - 1))``. Bits per dimension are measured on these levels.
        mean: mean of each channel over the train split, in [0, 1].
        std: standard deviation of each channel over the train split, in [0, 1].
        sha256: hash over all splits' tensors.
        input_channels: translation and controlled generation: channels of an input image, 1 or 3; else None.
        num_landmarks: reenactment: points of a face; else None.
        max_objects: detection: the most objects of an image of any split; else None.
        has_masks: detection: whether objects have masks, which segmentation needs.
        symbols: transcription: what texts are made of; a text holds indices into them; else None.
        separator: transcription: what stands between two symbols of a text; else None.
        longest_text: transcription: symbols of the longest text; else None.
        words: text to image: the words that captions are read by (``data/captions.py``); else None.
        longest_caption: text to image: words of the longest caption; else None.
        ground: red, green and blue of what transparent pictures are laid on; None where it is white.
        fit: what became of the pictures' aspect.
        encoded: whether images, and inputs, are files that are decoded whenever they are read.
    """

    name: str
    task: str
    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    levels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str
    input_channels: int | None = None
    num_landmarks: int | None = None
    max_objects: int | None = None
    has_masks: bool = False
    symbols: tuple[str, ...] | None = None
    separator: str | None = None
    longest_text: int | None = None
    words: tuple[str, ...] | None = None
    longest_caption: int | None = None
    ground: tuple[int, int, int] | None = None
    fit: Fit = "stretch"
    encoded: bool = False

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of one image."""
        return self.height, self.width, self.channels

    def require(self, task: str, where: str) -> None:
        """Check that a family of ``task`` can be trained on this data.

        Raises:
            UserError: it cannot; the message begins with ``where``, the key that names the data set.
        """
        kinds.require(task, where, self.name, self.task, self.has_masks)

    def to_json(self) -> dict:
        """Return plain JSON values; the newest keys only where they are set, so that older hashes stay right."""
        values = asdict(self)
        for key, unset in (("ground", None), ("fit", "stretch"), ("encoded", False)):
            if values[key] == unset:
                del values[key]
        return values

    def frame(self, channels: int) -> Frame:
        """Return what brings a file to pixels of ``channels``."""
        return Frame(
            height=self.height,
            width=self.width,
            channels=channels,
            ground=self.ground or WHITE,
            fit=self.fit,
            reduced=self.encoded,
        )

    @classmethod
    def from_json(cls, values: dict) -> DataSpec:
        """Build from what :meth:`to_json` gave, after a round through JSON."""
        return cls(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        )


@dataclass(frozen=True)
class Split:
    """One split. Its pictures may be more than memory holds: index them, by batches of rows.

    Attributes:
        images: uint8 [N, H, W, C].
        labels: int64 [N], an index into the classes; of detection -1, since an image is of no class.
        ids: N names.
        contents: int64 [N], of each image the first eight bytes of the SHA-256 of its bytes as they were ingested.
        inputs: translation: uint8 [N, H, W, C_in], what each image is the translation of; else None.
        landmarks: reenactment: float32 [N, L, 2], points of the face: x to the right and y downwards, in [0, 1] of the
            picture's sides; else None.
        identities: reenactment: int64 [N], who is seen; nobody is in two splits; else None.
        boxes: detection: float32 [N, M, 4], x0, y0, x1, y1 of each object in [0, 1] of the picture's sides, 0 where
            there is none; crowds have none; else None.
        box_labels: detection: int64 [N, M], the class of each box, :data:`NO_OBJECT` where there is none; else None.
        masks: detection with masks: uint8 [N, H, W], 0 on the ground, k + 1 on objects of class k, :data:`UNCOUNTED` on
            crowds; else None.
        texts: transcription: int64 [N, L], of each text the indices of its symbols, then -1; else None.
        captions: text to image: int64 [N, L], of each caption the tokens of its words, then 0; else None.
    """

    images: Array
    labels: np.ndarray
    ids: list[str]
    contents: np.ndarray | None = None
    inputs: Array | None = None
    landmarks: np.ndarray | None = None
    identities: np.ndarray | None = None
    boxes: np.ndarray | None = None
    box_labels: np.ndarray | None = None
    masks: Array | None = None
    texts: np.ndarray | None = None
    captions: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: np.ndarray) -> Split:
        """Return the examples at ``rows`` int64 [n], in their order; pictures stay where they are."""
        taken: dict[str, Any] = {"ids": [self.ids[row] for row in rows]}
        for field in fields(self):
            if field.name != "ids" and (values := getattr(self, field.name)) is not None:
                large = field.name in PICTURES
                taken[field.name] = PlacedArray(values, rows) if large else values[rows]
        return Split(**taken)

    @property
    def places(self) -> np.ndarray:
        """Each example's place in the split, int64 [N]: by it a batch finds what belongs to its examples."""
        return np.arange(len(self))


class PreparedData:
    """A prepared folder, read lazily: a split costs memory only where its pages are touched."""

    def __init__(self, folder: Path) -> None:
        """Open ``folder``.

        Raises:
            UserError: ``folder`` is not one that ``prepare`` wrote.
        """
        self.folder = Path(folder)
        try:
            self.spec = DataSpec.from_json(json.loads((self.folder / "spec.json").read_text()))
        except FileNotFoundError:
            raise UserError(
                f"{self.folder}: no prepared data there (spec.json is missing). Run the prepare stage first."
            ) from None

    @cached_property
    def train(self) -> Split:
        """The examples that models learn from."""
        return self._read("train")

    @cached_property
    def validation(self) -> Split:
        """The examples that choose the best checkpoint and calibrate; never trained on."""
        return self._read("validation")

    @cached_property
    def test(self) -> Split:
        """The examples that are only measured on."""
        return self._read("test")

    def tested_on(self, rows: np.ndarray) -> PreparedData:
        """Return the same data with none but ``rows`` int64 [n] of the test split."""
        other = PreparedData(self.folder)
        other.test = self.test.take(rows)
        return other

    def _read(self, split: str) -> Split:
        shards = [tensor_files.maps(shard) for shard in sorted(self.folder.glob(f"{split}-*.safetensors"))]
        large = {name: joined([shard[name] for shard in shards]) for name in shards[0].keys() & PICTURES}
        small = {name: _in_memory([shard[name] for shard in shards]) for name in shards[0].keys() - PICTURES}
        if PIXELS_AT in small:
            places = small.pop(PIXELS_AT)
            large |= {name: PlacedArray(array, places) for name, array in self._pixels.items()}
        if self.spec.encoded:
            for name, places in ENCODED.items():
                if places in small:
                    large[name] = self._files(small.pop(places), name)
        return Split(ids=self._ids[split], **large, **small)

    def _files(self, places: np.ndarray, name: str) -> EncodedArray:
        channels = self.spec.channels if name == "images" else self.spec.input_channels
        return EncodedArray(self._shards, places, self.spec.frame(channels))

    @cached_property
    def _shards(self) -> EncodedImages:
        return EncodedImages(sorted((self.folder / SHARDS).glob("*.safetensors")))

    @cached_property
    def _pixels(self) -> dict[str, Array]:
        files = [tensor_files.maps(file) for file in sorted((self.folder / PIXELS).glob("*.safetensors"))]
        return {name: joined([file[name] for file in files]) for name in files[0]}

    @cached_property
    def _ids(self) -> dict[str, list[str]]:
        return json.loads((self.folder / "ids.json").read_text())


def _in_memory(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
