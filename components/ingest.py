"""Stage ``ingest``: brings a data set in, a manifest row per example, whatever state its files are in.

Nothing of the source is changed, and a file that cannot be used becomes a row that says why: it is
``validate`` that stops the pipeline.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components import listing, manifest
from components.command import main
from components.layout import dataset_file, ingested, prepared
from data import atomic, spec
from data.image_statistics import grey, measure, measure_image
from data.images import DecodeError, decode
from data.perceptual_hash import to_hex
from data.prepared import PreparedData
from data.sources import Arrays, ImageFile, derived, heads, imagefolder, packaged, torchvision
from data.sources.listing import Entry, scan
from data.text import parts

MAX_BYTES = 256 << 20
"""A file larger than this is no image to train on; it is not read into memory."""

_BATCH = 4096

Described = tuple[dict[str, Any], bytes | None]
"""The columns of the manifest that describe an image, and its bytes unless it does not decode."""

Example = tuple[dict[str, Any], *tuple[bytes | None, ...]]
"""A row of the manifest, the image's bytes and, of a pair, the input's; None for one that does not decode."""


def run(dataset: str) -> Path:
    """Write ``manifest.parquet``, ``images.parquet`` and, of pairs, ``inputs.parquet``; return their folder.

    Raises:
        UserError: ``dataset.yaml`` is wrong, the source is not there, or it changed since it was added.
    """
    settings = spec.load(dataset_file(dataset))
    entries = listing.check(dataset, settings) if settings.source == "imagefolder" else None
    with atomic.folder(ingested(dataset)) as folder:
        write(dataset, settings, folder, entries)
    return ingested(dataset)


def write(dataset: str, settings: spec.DatasetSpec, folder: Path, entries: list[Entry] | None = None) -> None:
    """Write the files of ``dataset`` into ``folder``; ``entries``: its folder's listing, if known."""
    writer = manifest.Writer(folder, _schema(settings))
    if settings.source == "imagefolder":
        files = imagefolder.load(settings.folder, scan(settings.folder) if entries is None else entries)
        examples = _read_files(files, paired=settings.input_channels is not None)
    else:
        examples = _read_arrays(_load(dataset, settings))
    for row, *contents in examples:
        if settings.text is not None and row["text"] is not None:
            row["symbols"] = parts(row["text"], settings.text.separator)
        writer.add(row, *contents)
    writer.close()


def _schema(settings: spec.DatasetSpec) -> pa.Schema:
    if settings.source == "heads":
        return manifest.FACE_SCHEMA
    if settings.text is not None:
        return manifest.TEXT_SCHEMA
    return manifest.SCHEMA if settings.input_channels is None else manifest.PAIRED_SCHEMA


def _load(dataset: str, settings: spec.DatasetSpec) -> Arrays:
    if settings.source == "torchvision":
        return torchvision.load(dataset, settings)
    if settings.source == "derived":
        return derived.load(dataset, settings, PreparedData(prepared(settings.parent)))
    if settings.source == "heads":
        return heads.load(settings)
    return packaged.load(dataset)


def _read_arrays(arrays: Arrays) -> Iterator[Example]:
    images = _describe_arrays(arrays.images)
    inputs = _describe_arrays(arrays.inputs) if arrays.inputs is not None else None
    named = zip(arrays.ids, arrays.sources, arrays.splits, arrays.labels, images, strict=True)
    for index, (id, source, split, label, (described, content)) in enumerate(named):
        row = {"id": id, "source": source, "split": split, "label": label, **described}
        if arrays.texts is not None:
            row["text"] = arrays.texts[index]
        if arrays.landmarks is not None:
            row |= {"identity": arrays.identities[index], **_of_landmarks(arrays.landmarks[index])}
        if inputs is None:
            yield row, content
        else:
            of_input, input_content = next(inputs)
            yield row | _of_input({"source": source, **of_input}), content, input_content


def _of_landmarks(landmarks: np.ndarray) -> dict[str, Any]:
    ends = {"least_landmark": float(landmarks.min()), "greatest_landmark": float(landmarks.max())}
    return {"landmarks": landmarks.ravel().tolist(), **ends}


def _describe_arrays(images_nhwc: np.ndarray) -> Iterator[Described]:
    _, height, width, channels = images_nhwc.shape
    shape = {"width": width, "height": height, "mode": "L" if channels == 1 else "RGB", "format": "raw"}
    for start in range(0, len(images_nhwc), _BATCH):
        images = images_nhwc[start : start + _BATCH]
        statistics = measure(grey(images))
        hashes = to_hex(statistics.phash)
        for offset, image in enumerate(images):
            content = image.tobytes()
            yield (
                shape
                | {
                    "bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "phash": hashes[offset],
                    "decodes": True,
                    "error": None,
                    "brightness": statistics.brightness[offset],
                    "contrast": statistics.contrast[offset],
                    "sharpness": statistics.sharpness[offset],
                },
                content,
            )


def _read_files(files: list[ImageFile], paired: bool) -> Iterator[Example]:
    # Threads: Pillow and hashlib let go of the interpreter lock. In batches: finished bytes wait in memory.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(files), 64):
            yield from pool.map(_read_pair if paired else _read_file, files[start : start + 64])


def _read_file(file: ImageFile) -> Example:
    row, content = _describe_file(file.path)
    told = {"id": file.id, "source": file.id, "split": file.split, "label": file.label, "text": file.text}
    return told | row, content


def _read_pair(file: ImageFile) -> Example:
    row, content = _read_file(file)
    if file.input is None:
        lacking = {"decodes": False, "error": "metadata.jsonl names no input_file_name for it"}
        return row | _of_input(lacking), content, None
    described, input_content = _describe_file(file.input.path)
    return row | _of_input({"source": file.input.id, **described}), content, input_content


def _of_input(described: dict[str, Any]) -> dict[str, Any]:
    return {f"{manifest.INPUT}{name}": value for name, value in described.items()}


def _describe_file(path: Path) -> Described:
    row = dict.fromkeys(manifest.DESCRIPTION) | {"decodes": False}
    try:
        row["bytes"] = path.stat().st_size
        if row["bytes"] > MAX_BYTES:
            return row | {"error": f"larger than {MAX_BYTES >> 20} MiB"}, None
        content = path.read_bytes()
    except OSError as error:
        return row | {"error": f"cannot be read: {error.strerror}"}, None
    row["sha256"] = hashlib.sha256(content).hexdigest()
    try:
        image, row["format"] = decode(content)
        statistics = measure_image(image)
    except DecodeError as error:
        return row | {"error": str(error)}, None
    measured = {
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "phash": to_hex(statistics.phash)[0],
        "decodes": True,
        "brightness": statistics.brightness[0],
        "contrast": statistics.contrast[0],
        "sharpness": statistics.sharpness[0],
    }
    return row | measured, content


if __name__ == "__main__":
    main(run)
