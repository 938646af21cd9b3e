"""Stage ``ingest``: brings a data set in, a manifest row per example, whatever state its files are in.

Nothing of the source is changed, and a file that cannot be used becomes a row that says why: it is
``validate`` that stops the pipeline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.datasets import instance_masks, listing, manifest
from components.project.command import main
from components.project.layout import dataset_file, ingested, prepared
from data import atomic, cores, spec
from data.captions import words
from data.errors import UserError
from data.image_statistics import grey, measure, measure_image
from data.images import Colour, DecodeError, decode
from data.objects import Objects, place
from data.perceptual_hash import to_hex
from data.prepared import PreparedData
from data.recipes import derived
from data.sources import Arrays, ImageFile, faces, imagefolder, packaged, torchvision, tuxpaint
from data.sources.listing import Entry, printable, scan
from data.text import parts

MAX_BYTES = 256 << 20
"""A file larger than this is no image to train on; it is not read into memory."""

_BATCH = 4096

Described = tuple[dict[str, Any], bytes | None]
"""The columns of the manifest that describe an image, and its bytes unless it does not decode."""

Example = tuple[dict[str, Any], *tuple[bytes | None, ...]]
"""A row of the manifest, the image's bytes and those of its input or its masks; None for one that does not decode."""


def run(dataset: str) -> Path:
    """Write ``manifest.parquet`` and ``images.parquet``, of pairs ``inputs.parquet``, of masks ``masks.parquet``.

    Returns:
        Their folder.

    Raises:
        UserError: ``dataset.yaml`` is wrong, the source is not there, or it changed since it was added.
    """
    settings = spec.load(dataset_file(dataset))
    entries = listing.check(dataset, settings) if settings.source == "imagefolder" else None
    with atomic.folder(ingested(dataset)) as folder:
        write(dataset, settings, folder, entries)
        if entries is not None:
            listing.check(dataset, settings)  # once more: a file may have changed while the others were read
    return ingested(dataset)


def write(dataset: str, settings: spec.DatasetSpec, folder: Path, entries: list[Entry] | None = None) -> None:
    """Write the files of ``dataset`` into ``folder``; ``entries``: its folder's listing, if known."""
    writer = manifest.Writer(folder, *_kind(settings))
    if settings.source == "imagefolder":
        coco = settings.objects.coco if settings.objects else ()
        listed = scan(settings.folder, coco) if entries is None else entries
        captions = settings.captions is not None
        files = imagefolder.load(settings.folder, listed, coco, captions=captions)
        examples = _read_files(files, settings)
    elif settings.source == "tuxpaint":
        examples = _read_files(tuxpaint.load(dataset, settings), settings)
    else:
        examples = _read_arrays(_load(dataset, settings))
    for row, *contents in examples:
        if settings.text is not None and row["text"] is not None:
            row["symbols"] = parts(row["text"], settings.text.separator)
        if settings.captions is not None and row["text"] is not None:
            row["words"] = words(row["text"])
        writer.add(row, *contents)
    writer.close()


def _kind(settings: spec.DatasetSpec) -> tuple[pa.Schema, tuple[str, ...]]:
    """Return the columns of the manifest and the files of bytes beside it."""
    if settings.input_channels is not None:
        schema = manifest.PAIRED_SCHEMA if settings.captions is None else manifest.SKETCH_SCHEMA
        return schema, (manifest.IMAGES, manifest.INPUTS)
    if settings.objects is not None:
        masks = (manifest.MASKS,) if settings.objects.masks else ()
        return manifest.OBJECT_SCHEMA, (manifest.IMAGES, *masks)
    if settings.text is not None:
        return manifest.TEXT_SCHEMA, (manifest.IMAGES,)
    if settings.captions is not None:
        return manifest.CAPTION_SCHEMA, (manifest.IMAGES,)
    return manifest.FACE_SCHEMA if settings.source == "heads" else manifest.SCHEMA, (manifest.IMAGES,)


def _load(dataset: str, settings: spec.DatasetSpec) -> Arrays:
    if settings.source == "torchvision":
        return torchvision.load(dataset, settings)
    if settings.source == "derived":
        return derived.load(dataset, settings, PreparedData(prepared(settings.parent)))
    if settings.source == "heads":
        return faces.load(settings)
    return packaged.load(dataset)


def _read_arrays(arrays: Arrays) -> Iterator[Example]:
    images = _describe_arrays(arrays.images)
    inputs = _describe_arrays(arrays.inputs) if arrays.inputs is not None else None
    named = zip(arrays.ids, arrays.sources, arrays.splits, arrays.labels, images, strict=True)
    for index, (id, source, split, label, (described, content)) in enumerate(named):
        row = {"id": id, "source": source, "split": split, "label": label, **described}
        if arrays.texts is not None:
            row["text"] = arrays.texts[index]
        if arrays.captions is not None:
            row["text"] = arrays.captions[index]
        if arrays.landmarks is not None:
            row |= {"identity": arrays.identities[index], **_of_landmarks(arrays.landmarks[index])}
        if arrays.objects is not None:
            yield (
                row | _of_objects(arrays.objects[index]),
                content,
                instance_masks.encode(arrays.objects[index].instances),
            )
        elif inputs is None:
            yield row, content
        else:
            of_input, input_content = next(inputs)
            yield row | _of_input({"source": source, **of_input}), content, input_content


def _of_objects(objects: Objects) -> dict[str, Any]:
    return {
        "objects": len(objects.categories),
        "object_error": objects.error,
        "categories": list(objects.categories),
        "boxes": objects.boxes.ravel().tolist(),
        "crowd": list(objects.crowd),
    }


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


def _read_files(files: list[ImageFile], settings: spec.DatasetSpec) -> Iterator[Example]:
    ground = settings.image.ground
    read = partial(_read_file, ground=ground)
    if settings.input_channels is not None:
        read = partial(_read_pair, ground=ground)
    elif settings.objects is not None:
        read = partial(_read_objects, ground=ground, masks=settings.objects.masks)
    elif any(file.objects is not None for file in files):
        raise UserError(
            f"{settings.folder}: metadata.jsonl has 'objects', and the data set's dataset.yaml has none. Add to it: "
            "objects: {masks: false}"
        )
    # Threads: Pillow and hashlib release the interpreter lock. In batches: finished bytes wait in memory.
    with ThreadPoolExecutor(min(8, cores.available())) as pool:
        for start in range(0, len(files), 64):
            yield from pool.map(read, files[start : start + 64])


def _read_file(file: ImageFile, *, ground: Colour) -> Example:
    row, content = _describe_file(file.path, ground, file.nearest)
    told = {"id": file.id, "source": file.id, "split": file.split, "label": file.label, "text": file.text}
    return told | row, content


def _read_pair(file: ImageFile, *, ground: Colour) -> Example:
    row, content = _read_file(file, ground=ground)
    if file.input is None:
        lacking = {"decodes": False, "error": "the metadata name no input_file_name for it"}
        return row | _of_input(lacking), content, None
    described, input_content = _describe_file(file.input.path, ground, file.input.nearest)
    return row | _of_input({"source": file.input.id, **described}), content, input_content


def _read_objects(file: ImageFile, *, ground: Colour, masks: bool) -> Example:
    """Return the row of an image with objects, its bytes and, with ``masks``, what each object covers."""
    row, content = _read_file(file, ground=ground)
    nothing: tuple[None, ...] = (None,) if masks else ()
    if file.objects is None:
        return row | {"object_error": "nothing says which objects are in it"}, content, *nothing
    if not row["decodes"]:
        return row | {"objects": len(file.objects)}, content, *nothing
    objects = place(file.objects, row["width"], row["height"], masks=masks)
    found = _of_objects(objects)
    size = (row["width"], row["height"])
    if file.size not in (None, size):
        found["object_error"] = (
            f"is {size[0]} x {size[1]} pixels, and was annotated as {file.size[0]} x {file.size[1]}"
        )
    return row | found, content, *([instance_masks.encode(objects.instances)] if masks else ())


def _of_input(described: dict[str, Any]) -> dict[str, Any]:
    return {f"{manifest.INPUT}{name}": value for name, value in described.items()}


def _describe_file(path: Path, ground: Colour, nearest: str | None) -> Described:
    """Describe a file; where it is not there, ``nearest`` is named, the file that may have been meant."""
    row = dict.fromkeys(manifest.DESCRIPTION) | {"decodes": False}
    try:
        row["bytes"] = path.stat().st_size
        if row["bytes"] > MAX_BYTES:
            return row | {"error": f"larger than {MAX_BYTES >> 20} MiB"}, None
        content = path.read_bytes()
    except OSError as error:
        hint = f"; the nearest name is {printable(nearest)!r}" if nearest else ""
        return row | {"error": f"cannot be read: {error.strerror}{hint}"}, None
    row["sha256"] = hashlib.sha256(content).hexdigest()
    try:
        image, row["format"] = decode(content)
        statistics = measure_image(image, ground)
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
