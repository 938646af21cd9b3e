"""Stage ``prepare``: splits validated examples and makes tensors of them, as ``data/prepared.py`` says."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from safetensors.numpy import save_file

from components import manifest
from components.command import main
from components.layout import dataset_file, ingested, prepared, validation_file
from data import atomic, images, spec
from data.errors import UserError, nearest
from data.prepared import SPLITS, DataSpec
from data.splits import assign

SHARD_BYTES = 1 << 30
"""Images of one split beyond this go to another file."""


def run(dataset: str) -> Path:
    """Write the prepared folder of ``dataset``; return it.

    Raises:
        UserError: the data is not validated, a label is no class, a class has too few images for every split,
            or
            ``image`` of ``dataset.yaml`` does not fit the images.
    """
    settings = spec.load(dataset_file(dataset))
    rows = manifest.read(ingested(dataset))
    _require_validation(dataset)
    classes = _classes(dataset, settings, rows)
    split = assign(rows, settings.splits)
    _require_every_split(dataset, split)
    labels = rows["label"].map({name: index for index, name in enumerate(classes)}).to_numpy(np.int64)
    with atomic.folder(prepared(dataset)) as folder:
        writers = {
            name: _SplitWriter(folder, name, int((split == name).sum()), settings.image) for name in SPLITS
        }
        for name, label, image in zip(split, labels, _decode(dataset, rows, settings.image), strict=True):
            writers[name].add(image, label)
        hashes = {name: writer.close() for name, writer in writers.items()}
        values = _describe(dataset, settings, classes, writers["train"], hashes)
        _require_levels(dataset, settings.image, writers)
        atomic.write_json(folder / "spec.json", values.to_json())
        atomic.write_json(folder / "ids.json", {name: rows["id"][split == name].tolist() for name in SPLITS})
    return prepared(dataset)


def _require_validation(dataset: str) -> None:
    file = validation_file(dataset)
    mend = f"Run the validate stage: python -m components.validate {dataset}"
    if not file.exists():
        raise UserError(f"{file}: not found: the data has not passed its validation. {mend}")
    verdict = json.loads(file.read_text())
    found = manifest.fingerprint(ingested(dataset))
    if not verdict["success"] or verdict["manifest"] != found:
        raise UserError(
            f"{file}: is about the manifest {verdict['manifest'][:12]}, and the data is {found[:12]}. {mend}"
        )


def _classes(dataset: str, settings: spec.DatasetSpec, rows: pd.DataFrame) -> tuple[str, ...]:
    found = sorted(rows["label"].unique())
    classes = settings.classes or tuple(found)
    for label in found:
        if label not in classes:
            raise UserError(
                f"{dataset_file(dataset)}: classes: lacks the label {label!r}.{nearest(label, classes)}"
            )
    return classes


def _require_every_split(dataset: str, split: pd.Series) -> None:
    for name in SPLITS:
        if not (split == name).any():
            raise UserError(
                f"{dataset_file(dataset)}: splits.{name}: no example is left for the {name} split."
            )


def _decode(dataset: str, rows: pd.DataFrame, image: spec.ImageSpec) -> Iterator[np.ndarray]:
    """Yield uint8 [H, W, C] for each row of the manifest, in its order."""
    shapes = list(zip(rows["format"], rows["height"], rows["width"], strict=True))
    start = 0
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for contents in manifest.read_images(ingested(dataset)):
            group = zip(contents, shapes[start : start + len(contents)], strict=True)
            yield from pool.map(lambda item: _to_array(*item, image), group)
            start += len(contents)


def _to_array(content: bytes, shape: tuple[str, int, int], image: spec.ImageSpec) -> np.ndarray:
    form, height, width = shape
    if form == "raw":
        return images.to_array(Image.frombytes("L", (width, height), content), image)
    return images.to_array(images.decode(content)[0], image)


class _SplitWriter:
    """Writes the shards of one split and sums what the DataSpec needs."""

    def __init__(self, folder: Path, name: str, count: int, image: spec.ImageSpec) -> None:
        self._folder, self._name, self._image = folder, name, image
        self._rows_per_shard = max(1, SHARD_BYTES // (image.height * image.width * image.channels))
        self._left, self._shard = count, 0
        self._images_hash, self._labels_hash = hashlib.sha256(), hashlib.sha256()
        self.histogram = np.zeros((image.channels, 256), np.int64)
        """How often each value occurs in each channel."""
        self._begin()

    def add(self, image: np.ndarray, label: int) -> None:
        self._images[self._filled] = image
        self._labels[self._filled] = label
        self._filled += 1
        if self._filled == len(self._images):
            self._end()

    def close(self) -> dict[str, str]:
        """Return the hashes of all images and labels of the split."""
        return {"images": self._images_hash.hexdigest(), "labels": self._labels_hash.hexdigest()}

    def _begin(self) -> None:
        rows = min(self._left, self._rows_per_shard)
        self._images = np.empty((rows, self._image.height, self._image.width, self._image.channels), np.uint8)
        self._labels = np.empty(rows, np.int64)
        self._filled = 0

    def _end(self) -> None:
        path = self._folder / f"{self._name}-{self._shard:05d}.safetensors"
        save_file({"images": self._images, "labels": self._labels}, path)
        self._images_hash.update(self._images)
        self._labels_hash.update(self._labels)
        for channel, counts in enumerate(self.histogram):
            counts += np.bincount(self._images[..., channel].ravel(), minlength=256)
        self._left, self._shard = self._left - self._filled, self._shard + 1
        self._begin()


def _describe(
    dataset: str, settings: spec.DatasetSpec, classes: tuple[str, ...], train: _SplitWriter, hashes: dict
) -> DataSpec:
    image = settings.image
    levels = np.arange(256)
    count = train.histogram.sum(axis=1)
    mean = train.histogram @ levels / count
    variance = train.histogram @ levels**2 / count - mean**2
    content = {"image": image.model_dump(), "classes": classes, "splits": hashes}
    return DataSpec(
        name=dataset,
        task="classification",
        classes=classes,
        **image.model_dump(),
        mean=tuple((mean / 255).tolist()),
        std=tuple((np.sqrt(np.maximum(variance, 0)) / 255).tolist()),
        sha256=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
    )


def _require_levels(dataset: str, image: spec.ImageSpec, writers: dict[str, _SplitWriter]) -> None:
    """Bits per dimension count the levels, so a value between two of them would falsify every likelihood."""
    allowed = np.rint(np.arange(image.levels) * 255 / (image.levels - 1)).astype(int)
    for name, writer in writers.items():
        found = np.flatnonzero(writer.histogram.sum(axis=0))
        between = np.setdiff1d(found, allowed)
        if len(between):
            raise UserError(
                f"{dataset_file(dataset)}: image.levels: {image.levels}, but the {name} split has the value"
                f" {between[0]}, which is none of them. A resized image needs 256."
            )


if __name__ == "__main__":
    main(run)
