"""Stage ``ingest``: brings a data set in, a manifest row per example, whatever state its files are in.

Nothing of the source is changed, and a file that cannot be used becomes a row that says why: it is
``validate`` that stops the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.datasets import (
    challenge_files,
    described,
    early_pictures,
    image_files,
    instance_masks,
    listing,
    manifest,
)
from components.datasets.early_pictures import EarlyPictures
from components.datasets.memo import Found, Memo
from components.datasets.parts import PartWriter
from components.project.command import main
from components.project.layout import (
    challenge_memo,
    dataset_file,
    early_picture_memo,
    ingest_memo,
    ingested,
    ingested_challenge_sets,
    prepared,
)
from data import atomic, spec
from data.captions import words
from data.prepared import PreparedData
from data.recipes import derived, photographs
from data.sources import Arrays, ImageFile, faces, imagefolder, packaged, torchvision, tuxpaint
from data.sources.listing import Entry, scan
from data.text import parts


def run(dataset: str) -> Path:
    """Write the parts of the manifest and of the images' bytes, as ``components/datasets/manifest.py`` says.

    Of a folder of images only those files are read that are new or changed since the last time.

    Returns:
        Their folder.

    Raises:
        UserError: ``dataset.yaml`` is wrong, the source is not there, or it changed since it was added.
    """
    settings = spec.load(dataset_file(dataset))
    is_folder = settings.source == "imagefolder"
    files = _listed(settings, listing.check(dataset, settings)) if is_folder else None
    memo = Memo(ingest_memo(dataset), image_files.basis(settings))
    with atomic.folder(ingested(dataset)) as folder, _pictures(dataset, settings) as pictures:
        found = write(dataset, settings, folder, files, memo, pictures)
        if is_folder:
            listing.confirm(
                dataset, settings
            )  # once more: a file may have changed while the others were read
        keep_challenge_sets = _write_challenge_sets(dataset, settings, folder)
    if found is not None:
        memo.keep(ingested(dataset), found)
    keep_challenge_sets()
    return ingested(dataset)


def write(
    dataset: str,
    settings: spec.DatasetSpec,
    folder: Path,
    files: Sequence[ImageFile] | None = None,
    memo: Memo | None = None,
    pictures: EarlyPictures | None = None,
) -> Found | None:
    """Write the parts of ``dataset`` into ``folder``.

    Args:
        dataset: its name.
        settings: what its ``dataset.yaml`` says.
        folder: there, and empty.
        files: those of its folder, if it has one and they are known.
        memo: what an earlier ingest found of its files.
        pictures: where those of its files are kept for prepare.

    Returns:
        What to keep for the next ingest; None of data that are no files.
    """
    schema, kinds = _kind(settings)
    for column in settings.splits.columns:
        schema = schema.append(pa.field(column, manifest.SPLIT_COLUMNS[column]))
    for name in settings.metadata_columns:
        schema = schema.append(pa.field(manifest.column(name), pa.string()))
    writer = PartWriter(folder, schema, kinds)
    if settings.source == "imagefolder":
        files = _listed(settings) if files is None else files
        return image_files.write(files, settings, writer, memo, pictures)
    if settings.source == "tuxpaint" and settings.scenes is None:
        return image_files.write(tuxpaint.load(dataset, settings), settings, writer, memo)
    for row, *contents in _read_arrays(_load(dataset, settings)):
        if settings.text is not None and row["text"] is not None:
            row["symbols"] = parts(row["text"], settings.text.separator)
        if settings.captions is not None and row["text"] is not None:
            row["words"] = words(row["text"])
        writer.add(row, *contents)
    writer.close()
    return None


def _write_challenge_sets(dataset: str, settings: spec.DatasetSpec, folder: Path) -> Callable[[], None]:
    """Write the images of all challenge sets into ``folder``; return what keeps for the next ingest what was found."""
    if not settings.challenge_sets:
        return lambda: None
    read = settings.of_challenge_set(next(iter(settings.challenge_sets)))
    memo = Memo(challenge_memo(dataset), image_files.basis(read))
    place = folder / ingested_challenge_sets(dataset).name
    place.mkdir()
    found = write(dataset, read, place, challenge_files.listed(dataset, settings), memo)
    challenge_files.confirm(dataset, settings)
    return lambda: memo.keep(ingested_challenge_sets(dataset), found)


@contextmanager
def _pictures(dataset: str, settings: spec.DatasetSpec) -> Iterator[EarlyPictures | None]:
    """Yield what keeps pictures for prepare, for good when all went well; None where there is nothing to keep."""
    if early_pictures.frame_of(settings) is None:
        yield None
        return
    with atomic.folder(early_picture_memo(dataset)) as folder:
        pictures = EarlyPictures(folder, settings)
        yield pictures
        pictures.close()


def _listed(settings: spec.DatasetSpec, entries: Sequence[Entry] | None = None) -> Sequence[ImageFile]:
    """Return the image files of a user's folder, whose listing is ``entries`` if it is known."""
    coco = settings.objects.coco if settings.objects else ()
    listed = scan(settings.folder, coco) if entries is None else entries
    return imagefolder.load(
        settings.folder,
        listed,
        coco,
        captions=settings.captions is not None,
        columns=settings.metadata_columns,
    )


def _kind(settings: spec.DatasetSpec) -> tuple[pa.Schema, tuple[str, ...]]:
    """Return the columns of the manifest and the kinds of contents."""
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
    if settings.source == "tuxpaint":
        return photographs.load(dataset, settings, tuxpaint.load(dataset, settings))
    if settings.source == "heads":
        return faces.load(settings)
    return packaged.load(dataset)


def _read_arrays(arrays: Arrays) -> Iterator[image_files.Example]:
    images = described.arrays(arrays.images)
    inputs = described.arrays(arrays.inputs) if arrays.inputs is not None else None
    named = zip(arrays.ids, arrays.sources, arrays.splits, arrays.labels, images, strict=True)
    for index, (id, source, split, label, (of_image, content, _)) in enumerate(named):
        row = {"id": id, "source": source, "split": split, "label": label, **of_image}
        if arrays.texts is not None:
            row["text"] = arrays.texts[index]
        if arrays.captions is not None:
            row["text"] = arrays.captions[index]
        if arrays.landmarks is not None:
            row |= {"identity": arrays.identities[index], **_of_landmarks(arrays.landmarks[index])}
        if arrays.objects is not None:
            yield (
                row | image_files.of_objects(arrays.objects[index]),
                content,
                instance_masks.encode(arrays.objects[index].instances),
            )
        elif inputs is None:
            yield row, content
        else:
            of_input, input_content, _ = next(inputs)
            yield row | image_files.of_input({"source": source, **of_input}), content, input_content


def _of_landmarks(landmarks: np.ndarray) -> dict[str, Any]:
    ends = {"least_landmark": float(landmarks.min()), "greatest_landmark": float(landmarks.max())}
    return {"landmarks": landmarks.ravel().tolist(), **ends}


if __name__ == "__main__":
    main(run)
