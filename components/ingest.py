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

from components import listing, manifest
from components.command import main
from components.layout import dataset_file, ingested
from data import atomic, spec
from data.image_statistics import measure, measure_image
from data.images import DecodeError, decode
from data.perceptual_hash import to_hex
from data.sources import Arrays, ImageFile, imagefolder, packaged, torchvision
from data.sources.listing import Entry, scan

MAX_BYTES = 256 << 20
"""A file larger than this is no image to train on; it is not read into memory."""

_BATCH = 4096

Example = tuple[dict, bytes | None]
"""A row of the manifest, and the image's bytes unless it does not decode."""


def run(dataset: str) -> Path:
    """Write ``manifest.parquet`` and ``images.parquet`` of ``dataset``; return their folder.

    Raises:
        UserError: ``dataset.yaml`` is wrong, the source is not there, or it changed since it was added.
    """
    settings = spec.load(dataset_file(dataset))
    entries = listing.check(dataset, settings) if settings.source == "imagefolder" else None
    with atomic.folder(ingested(dataset)) as folder:
        write(dataset, settings, folder, entries)
    return ingested(dataset)


def write(dataset: str, settings: spec.DatasetSpec, folder: Path, entries: list[Entry] | None = None) -> None:
    """Write both files of ``dataset`` into ``folder``; ``entries``: its folder's listing, if known."""
    writer = manifest.Writer(folder)
    if settings.source == "imagefolder":
        files = imagefolder.load(settings.folder, scan(settings.folder) if entries is None else entries)
        examples = _read_files(files)
    elif settings.source == "torchvision":
        examples = _read_arrays(torchvision.load(dataset, settings))
    else:
        examples = _read_arrays(packaged.load(dataset))
    for row, content in examples:
        writer.add(row, content)
    writer.close()


def _read_arrays(arrays: Arrays) -> Iterator[Example]:
    _, height, width = arrays.images.shape
    for start in range(0, len(arrays.images), _BATCH):
        images = arrays.images[start : start + _BATCH]
        statistics = measure(images)
        hashes = to_hex(statistics.phash)
        for offset, image in enumerate(images):
            content = image.tobytes()
            yield (
                {
                    "id": arrays.ids[start + offset],
                    "source": arrays.sources[start + offset],
                    "split": arrays.splits[start + offset],
                    "label": arrays.labels[start + offset],
                    "width": width,
                    "height": height,
                    "mode": "L",
                    "format": "raw",
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


def _read_files(files: list[ImageFile]) -> Iterator[Example]:
    # Threads: Pillow and hashlib let go of the interpreter lock. In batches: finished bytes wait in memory.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(files), 64):
            yield from pool.map(_read_file, files[start : start + 64])


def _read_file(file: ImageFile) -> Example:
    row = dict.fromkeys(manifest.SCHEMA.names) | {
        "id": file.id,
        "source": file.id,
        "split": file.split,
        "label": file.label,
        "decodes": False,
    }
    try:
        row["bytes"] = file.path.stat().st_size
        if row["bytes"] > MAX_BYTES:
            return row | {"error": f"larger than {MAX_BYTES >> 20} MiB"}, None
        content = file.path.read_bytes()
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
