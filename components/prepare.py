"""Stage ``prepare``: splits validated examples and makes tensors of them, as ``data/prepared.py`` says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.datasets import manifest, objects, parts
from components.datasets.pictures import Pictures
from components.datasets.shards import Layout, SplitWriter
from components.project.command import main
from components.project.layout import dataset_file, ingested, prepared, validation_file
from data import atomic, captions, spec, text
from data.errors import UserError, nearest
from data.prepared import ENCODED, NO_OBJECT, SHARDS, SPLITS, UNCOUNTED, DataSpec
from data.splits import assign


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
        known |= objects.tensors(rows, classes, settings.image)
    if symbols is not None:
        known["texts"] = text.encode(rows["symbols"], symbols, int(rows["symbols"].map(len).max()))
    words = _words(rows, split)
    if words is not None:
        known["captions"] = captions.encode(rows["words"], words, int(rows["words"].map(len).max()))
    read = Pictures(dataset, rows, split, settings, classes)
    with atomic.folder(prepared(dataset)) as folder:
        layout = _layout(settings, known)
        writers = {name: SplitWriter(folder, name, int((split == name).sum()), layout) for name in SPLITS}
        histograms = {name: np.zeros((settings.image.channels, 256), np.int64) for name in SPLITS}
        start = 0
        for tensors, counted in read.parts():
            part = slice(start, start := start + len(next(iter(tensors.values()))))
            tensors |= {name: values[part] for name, values in known.items()}
            for name, writer in writers.items():
                chosen = split[part] == name
                writer.add({tensor: tensors[tensor][chosen] for tensor in layout})
                histograms[name] += counted.get(name, 0)
        _require_levels(dataset, settings.image, histograms)
        hashes = {name: writer.close() for name, writer in writers.items()}
        if settings.is_encoded:
            _link(read.shards, folder / SHARDS)
            hashes = {name: _of_files(hashes[name], rows[split == name]) for name in SPLITS}
        values = _describe(dataset, settings, classes, symbols, words, layout, histograms["train"], hashes)
        atomic.write_json(folder / "spec.json", values.to_json())
        atomic.write_json(folder / "ids.json", {name: rows["id"][split == name].tolist() for name in SPLITS})
    return prepared(dataset)


def _link(shards: tuple[Path, ...], folder: Path) -> None:
    """Make the shards of ingest those of ``folder``: the same files, where the file system can."""
    folder.mkdir()
    for shard in shards:
        parts.link(shard, folder / shard.name)


def _of_files(hashes: dict[str, str], rows: pd.DataFrame) -> dict[str, str]:
    """Return the hashes of a split whose pictures are files: theirs in place of where they lie, which others move."""
    for tensor, places in ENCODED.items():
        if places in hashes:
            column = "sha256" if tensor == "images" else f"{manifest.INPUT}sha256"
            del hashes[places]
            hashes[tensor] = hashlib.sha256("\n".join(rows[column]).encode()).hexdigest()
    return hashes


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
    channels = {"images": image.channels, "inputs": settings.input_channels}
    layout: dict[str, tuple[Any, tuple[int, ...]]] = {}
    for name, count in channels.items():
        if count is not None and settings.is_encoded:
            layout[ENCODED[name]] = (np.int64, ())
        elif count is not None:
            layout[name] = (np.uint8, (image.height, image.width, count))
    if settings.objects is not None and settings.objects.masks:
        layout["masks"] = (np.uint8, (image.height, image.width))
    return layout | {name: (values.dtype, values.shape[1:]) for name, values in known.items()}


def _faces(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the landmarks [N, L, 2] and the identities' numbers [N] of all rows, where they are known."""
    if "landmarks" not in rows:
        return {}
    landmarks = np.stack(rows["landmarks"].to_list()).reshape(len(rows), -1, 2)
    return {"landmarks": landmarks, "identities": np.unique(rows["identity"], return_inverse=True)[1]}


def _describe(
    dataset: str,
    settings: spec.DatasetSpec,
    classes: tuple[str, ...],
    symbols: tuple[str, ...] | None,
    words: tuple[str, ...] | None,
    layout: Layout,
    histogram: np.ndarray,
    hashes: dict,
) -> DataSpec:
    image = settings.image
    levels = np.arange(256)
    count = histogram.sum(axis=1)
    mean = histogram @ levels / count
    variance = histogram @ levels**2 / count - mean**2
    content = {"image": image.to_json(), "classes": classes, "splits": hashes}
    if settings.is_encoded:
        content |= {"encoded": True}
    separator = settings.text.separator if settings.text else None
    if symbols is not None:
        content |= {"symbols": symbols, "separator": separator}
    if words is not None:
        content |= {"words": words}
    return DataSpec(
        name=dataset,
        task=settings.kind,
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
        encoded=settings.is_encoded,
    )


def _require_levels(dataset: str, image: spec.ImageSpec, histograms: dict[str, np.ndarray]) -> None:
    """Bits per dimension count the levels, so a value between two of them would falsify every likelihood."""
    allowed = np.rint(np.arange(image.levels) * 255 / (image.levels - 1)).astype(int)
    for name, histogram in histograms.items():
        found = np.flatnonzero(histogram.sum(axis=0))
        between = np.setdiff1d(found, allowed)
        if len(between):
            raise UserError(
                f"{dataset_file(dataset)}: image.levels: {image.levels}, but the {name} split has the value"
                f" {between[0]}, which is none of them. A resized image needs 256."
            )


if __name__ == "__main__":
    main(run)
