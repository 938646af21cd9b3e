"""Stage ``prepare``: splits validated examples and makes tensors of them, as ``data/prepared.py`` says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from components.datasets import instance_masks, manifest, objects
from components.datasets.shards import Layout, SplitWriter
from components.project.command import main
from components.project.layout import dataset_file, ingested, prepared, validation_file
from data import atomic, captions, cores, kinds, spec, text
from data.errors import UserError, nearest
from data.images import decode, to_array
from data.prepared import NO_OBJECT, SPLITS, UNCOUNTED, DataSpec
from data.splits import assign

_WINDOW = 1024
"""How many images are decoded before the first of them is used up."""

_PART = 64
"""How many a thread decodes at a time."""


def run(dataset: str) -> Path:
    """Write the prepared folder of ``dataset``; return it.

    Raises:
        UserError: the data is not validated, a label is no class, a class has too few images for every split,
            or ``image`` of ``dataset.yaml`` does not fit the images.
    """
    settings = spec.load(dataset_file(dataset))
    rows = manifest.read(ingested(dataset))
    _require_validation(dataset)
    classes = _classes(dataset, settings, rows)
    symbols = _symbols(dataset, settings, rows)
    split = assign(rows, settings.splits).to_numpy(str)
    _require_every_split(dataset, split)
    known = {"labels": _labels(settings, rows, classes), **_faces(rows)}
    if settings.objects is not None:
        known |= objects.tensors(rows, classes)
    if symbols is not None:
        known["texts"] = text.encode(rows["symbols"], symbols, int(rows["symbols"].map(len).max()))
    words = _words(rows, split)
    if words is not None:
        known["captions"] = captions.encode(rows["words"], words, int(rows["words"].map(len).max()))
    with atomic.folder(prepared(dataset)) as folder:
        layout = _layout(settings, known)
        writers = {name: SplitWriter(folder, name, int((split == name).sum()), layout) for name in SPLITS}
        start = 0
        for pictures in _decode(dataset, rows, settings, classes):
            part = slice(start, start := start + len(pictures["images"]))
            tensors = pictures | {name: values[part] for name, values in known.items()}
            for name, writer in writers.items():
                chosen = split[part] == name
                writer.add({tensor: tensors[tensor][chosen] for tensor in layout})
        hashes = {name: writer.close() for name, writer in writers.items()}
        values = _describe(dataset, settings, classes, symbols, words, layout, writers["train"], hashes)
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
    found = sorted(objects.categories(rows).unique())
    classes = settings.classes or tuple(found)
    for label in found:
        if label not in classes:
            raise UserError(
                f"{dataset_file(dataset)}: classes: lacks the label {label!r}.{nearest(label, classes)}"
            )
    if settings.objects and settings.objects.masks and len(classes) >= UNCOUNTED:
        raise UserError(
            f"{dataset_file(dataset)}: objects.masks: {len(classes)} classes, and a mask tells {UNCOUNTED - 1} at most."
        )
    return classes


def _labels(settings: spec.DatasetSpec, rows: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    if settings.objects is not None:
        return np.full(len(rows), NO_OBJECT, np.int64)
    return rows["label"].map({name: index for index, name in enumerate(classes)}).to_numpy(np.int64)


def _symbols(dataset: str, settings: spec.DatasetSpec, rows: pd.DataFrame) -> tuple[str, ...] | None:
    """Return what transcripts are made of, in the order of the indices; None for data without transcripts."""
    if settings.text is None:
        return None
    found = sorted({symbol for transcript in rows["symbols"] for symbol in transcript})
    symbols = settings.text.symbols or tuple(found)
    for symbol in found:
        if symbol not in symbols:
            raise UserError(
                f"{dataset_file(dataset)}: text.symbols: lacks the symbol {symbol!r} of a transcript."
                f"{nearest(symbol, symbols)}"
            )
    return symbols


def _words(rows: pd.DataFrame, split: np.ndarray) -> tuple[str, ...] | None:
    """Return the words of train's captions, which have a token each; None for data without captions."""
    if "words" not in rows:
        return None
    return tuple(sorted({word for caption in rows["words"][split == "train"] for word in caption}))


def _require_every_split(dataset: str, split: np.ndarray) -> None:
    for name in SPLITS:
        if not (split == name).any():
            raise UserError(
                f"{dataset_file(dataset)}: splits.{name}: no example is left for the {name} split."
            )


def _layout(settings: spec.DatasetSpec, known: dict[str, np.ndarray]) -> Layout:
    """Return the tensors of an example: its pictures, and what is ``known`` of all examples."""
    image = settings.image
    layout: dict[str, tuple[Any, tuple[int, ...]]] = {
        "images": (np.uint8, (image.height, image.width, image.channels)),
    }
    if settings.input_channels is not None:
        layout["inputs"] = (np.uint8, (image.height, image.width, settings.input_channels))
    if settings.objects is not None and settings.objects.masks:
        layout["masks"] = (np.uint8, (image.height, image.width))
    return layout | {name: (values.dtype, values.shape[1:]) for name, values in known.items()}


def _faces(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the landmarks [N, L, 2] and the identities' numbers [N] of all rows, where they are known."""
    if "landmarks" not in rows:
        return {}
    landmarks = np.stack(rows["landmarks"].to_list()).reshape(len(rows), -1, 2)
    return {"landmarks": landmarks, "identities": np.unique(rows["identity"], return_inverse=True)[1]}


def _decode(
    dataset: str, rows: pd.DataFrame, settings: spec.DatasetSpec, classes: tuple[str, ...]
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the pictures of some rows at a time, uint8 [n, H, W, C] by tensor, in the order of the manifest.

    Masks among them are [n, H, W].
    """
    files = {"images": (manifest.IMAGES, "", settings.image)}
    if settings.input_channels is not None:
        image = settings.image.model_copy(update={"channels": settings.input_channels})
        files["inputs"] = (manifest.INPUTS, manifest.INPUT, image)
    # Files of one ingest have the same groups of rows: what is decoded of each is of the same examples.
    decoded = {tensor: _decode_file(dataset, rows, *file) for tensor, file in files.items()}
    if settings.objects is not None and settings.objects.masks:
        decoded["masks"] = _decode_masks(dataset, rows, settings.image, classes)
    for arrays in zip(*decoded.values(), strict=True):
        yield dict(zip(decoded, arrays, strict=True))


def _decode_masks(
    dataset: str, rows: pd.DataFrame, image: spec.ImageSpec, classes: tuple[str, ...]
) -> Iterator[np.ndarray]:
    """Yield masks uint8 [n, H, W] in the same parts as :func:`_decode_file` yields images."""
    index = {name: number for number, name in enumerate(classes)}
    described = iter(rows[["categories", "crowd"]].itertuples(index=False))
    for contents in manifest.read_images(ingested(dataset), manifest.MASKS):
        for part in (part for window in _parts(contents, _WINDOW) for part in _parts(window, _PART)):
            masks = []
            for content, row in zip(part, described, strict=False):  # rows beyond this part stay for the next
                labels = np.array([index[name] for name in row.categories], np.int64)
                values = instance_masks.values(labels, np.asarray(row.crowd, dtype=bool))
                masks.append(instance_masks.decode(content, values, image.height, image.width))
            yield np.stack(masks)


def _decode_file(
    dataset: str, rows: pd.DataFrame, file: str, prefix: str, image: spec.ImageSpec
) -> Iterator[np.ndarray]:
    columns = [f"{prefix}{name}" for name in ("sha256", "format", "mode", "height", "width")]
    described = [_Described(file, *values) for values in rows[["id", *columns]].itertuples(index=False)]
    start = 0
    with ThreadPoolExecutor(min(8, cores.available())) as pool:
        for contents in manifest.read_images(ingested(dataset), file):
            items = list(zip(described[start : start + len(contents)], contents, strict=True))
            start += len(contents)
            # A window at a time: decoded images are far larger than files, and would wait in memory.
            for window in _parts(items, _WINDOW):
                yield from pool.map(lambda part: _to_arrays(part, image), _parts(window, _PART))


class _Described(NamedTuple):
    """What the manifest says of one picture in ``file``."""

    file: str
    id: str
    sha256: str
    format: str
    mode: str
    height: int
    width: int


def _parts(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _to_arrays(part: list, image: spec.ImageSpec) -> np.ndarray:
    return np.stack([_to_array(row, content, image) for row, content in part])


def _to_array(row: _Described, content: bytes, image: spec.ImageSpec) -> np.ndarray:
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise UserError(f"{row.file}: the bytes of {row.id} are not those of the manifest. Run ingest again.")
    if row.format == "raw":
        picture = Image.frombytes(row.mode, (row.width, row.height), content)
    else:
        picture, _ = decode(content)
    shape = {"height": image.height, "width": image.width, "channels": image.channels}
    return to_array(picture, **shape, ground=image.ground)


def _describe(
    dataset: str,
    settings: spec.DatasetSpec,
    classes: tuple[str, ...],
    symbols: tuple[str, ...] | None,
    words: tuple[str, ...] | None,
    layout: Layout,
    train: SplitWriter,
    hashes: dict,
) -> DataSpec:
    image = settings.image
    levels = np.arange(256)
    count = train.histogram.sum(axis=1)
    mean = train.histogram @ levels / count
    variance = train.histogram @ levels**2 / count - mean**2
    content = {"image": image.to_json(), "classes": classes, "splits": hashes}
    separator = settings.text.separator if settings.text else None
    if symbols is not None:
        content |= {"symbols": symbols, "separator": separator}
    if words is not None:
        content |= {"words": words}
    return DataSpec(
        name=dataset,
        task=kinds.of(layout),
        classes=classes,
        **image.to_json(),
        mean=tuple((mean / 255).tolist()),
        std=tuple((np.sqrt(np.maximum(variance, 0)) / 255).tolist()),
        sha256=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        input_channels=settings.input_channels,
        num_landmarks=layout["landmarks"][1][0] if "landmarks" in layout else None,
        symbols=symbols,
        separator=separator,
        longest_text=layout["texts"][1][0] if "texts" in layout else None,
        words=words,
        longest_caption=layout["captions"][1][0] if "captions" in layout else None,
        max_objects=layout["boxes"][1][0] if "boxes" in layout else None,
        has_masks="masks" in layout,
    )


def _require_levels(dataset: str, image: spec.ImageSpec, writers: dict[str, SplitWriter]) -> None:
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
