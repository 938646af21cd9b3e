"""Stage ``prepare``: splits validated examples and makes tensors of them, as ``data/prepared.py`` says.

Which test examples are in which slice, and challenge sets, it writes beside them (``components/datasets/slices.py``,
``components/datasets/challenge_sets.py``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.datasets import arrow, compact, manifest, objects, slices
from components.datasets.challenge_sets import SLICES
from components.datasets.picture_memo import PictureMemo
from components.datasets.picture_parts import PictureParts
from components.datasets.pictures import Pictures, layout
from components.datasets.shards import SplitWriter, Written
from components.project.command import main
from components.project.layout import (
    challenge_sets,
    dataset_file,
    early_picture_memo,
    ingested,
    picture_memo,
    prepared,
    slices_file,
    validation_file,
)
from data import atomic, captions, spec, text
from data.content_splits import OPEN, by_content
from data.errors import UserError, nearest
from data.prepared import ENCODED, NO_OBJECT, PIXELS_AT, SPLITS, UNCOUNTED, DataSpec
from data.tensor_files import Layout

TRAIN = SPLITS.index("train")
OBJECTS = ["width", "height", "boxes", "categories", "crowd"]
"""The columns that tell of objects."""


def run(dataset: str) -> Path:
    """Write the prepared folder of ``dataset``; return it.

    Raises:
        UserError: the data is not validated, a label is no class, a class has too few images for every split,
            ``image`` of ``dataset.yaml`` does not fit the images, ``slices`` is of what they have not, or models
            cannot be measured on a challenge set.
    """
    settings = spec.load(dataset_file(dataset))
    rows, places = manifest.read_compact(ingested(dataset), _columns(settings))
    _require_validation(dataset)
    classes = _classes(dataset, settings, rows)
    symbols = _symbols(dataset, settings, rows)
    split = _splits(rows, settings.splits)
    _require_every_split(dataset, split)
    known = {
        "labels": _labels(settings, rows, classes),
        "contents": _contents(compact.digests(rows["sha256"])),
        **_faces(rows),
    }
    if settings.objects is not None:
        known |= objects.tensors(rows.select(OBJECTS).to_pandas(), classes, settings.image)
    if symbols is not None:
        known["texts"] = _tokens(rows["symbols"], text.encode, symbols)
    words = _words(rows, split)
    if words is not None:
        known["captions"] = _tokens(rows["words"], captions.encode, words)
    with atomic.folder(prepared(dataset)) as folder:
        if settings.source == "imagefolder":
            made = PictureParts(dataset, settings, classes)
            written = _write_parts(dataset, folder, made, rows, places, split, known)
        else:
            names = np.array(SPLITS)[split]
            read = Pictures(dataset, manifest.read(ingested(dataset)), names, settings, classes)
            written = _write_whole(folder, read, layout(settings), split, known)
        num_train = int((split == TRAIN).sum())
        values = _describe(dataset, settings, classes, symbols, words, known, num_train, written)
        atomic.write_json(folder / "spec.json", values.to_json())
        compact.write_by_split(folder / "ids.json", rows["id"], split)
    slices.write(slices_file(dataset), _slices(dataset, settings))
    with atomic.folder(challenge_sets(dataset)) as folder:
        _write_challenge_sets(folder, dataset, settings, values)
    return prepared(dataset)


def _write_challenge_sets(folder: Path, dataset: str, settings: spec.DatasetSpec, values: DataSpec) -> None:
    if not settings.challenge_sets:
        slices.write(folder / SLICES, None)
        return
    from components.datasets import challenging

    challenging.write(folder, dataset, settings, values)


def _slices(dataset: str, settings: spec.DatasetSpec) -> slices.Slices | None:
    if not settings.slices:
        return None
    from components.datasets import slicing

    return slicing.find(dataset, settings)


def _columns(settings: spec.DatasetSpec) -> list[str]:
    """Return the columns of the manifest that are needed of all examples at once."""
    columns = ["id", "split", "label", "sha256", *settings.splits.columns]
    if settings.input_channels is not None:
        columns.append(f"{manifest.INPUT}sha256")
    if settings.objects is not None:
        columns += OBJECTS
    if settings.text is not None:
        columns.append("symbols")
    if settings.captions is not None:
        columns.append("words")
    if settings.source == "heads":
        columns += ["identity", "landmarks"]
    return columns


def _splits(rows: pa.Table, splits: spec.Splits) -> np.ndarray:
    """Return the split of each row, int8 [N], places in ``SPLITS``."""
    if splits.by == "content" and splits.test_weeks is None:
        told, of_row = compact.named(rows["split"])
        given = np.array([SPLITS.index(name) if name else OPEN for name in told], np.int8)[of_row]
        return by_content(given, compact.digests(rows["sha256"]), splits)
    from data.splits import assign  # It loads pandas.

    frame = rows.drop_columns(["sha256"]).to_pandas()
    frame["sha256"] = [one.hex() for one in rows["sha256"].to_pylist()]
    for name in ("split", "label"):
        frame[name] = frame[name].astype("str")
    return assign(frame, splits).map(SPLITS.index).to_numpy(np.int8)


def _write_whole(
    folder: Path, read: Pictures, pixels: Layout, split: np.ndarray, known: dict[str, np.ndarray]
) -> Written:
    """Write what changes as a whole: each split's pictures in the order of its examples, beside what is ``known``."""
    whole = pixels | _layout(known)
    writers = [
        SplitWriter(folder, name, int((split == place).sum()), whole) for place, name in enumerate(SPLITS)
    ]
    total = squares = start = 0
    for part in read.parts():
        rows = slice(start, start := start + len(part.tensors[manifest.IMAGES]))
        tensors = part.tensors | {name: values[rows] for name, values in known.items()}
        for place, writer in enumerate(writers):
            chosen = split[rows] == place
            writer.add({tensor: tensors[tensor][chosen] for tensor in whole})
        total, squares = total + part.total, squares + part.squares
    hashes = {name: writer.close() for name, writer in zip(SPLITS, writers, strict=True)}
    return Written(hashes, total, squares)


def _write_parts(
    dataset: str,
    folder: Path,
    made: PictureParts,
    rows: pa.Table,
    places: np.ndarray,
    split: np.ndarray,
    known: dict[str, np.ndarray],
) -> Written:
    """Write what changes by some examples: pictures in parts, and where each split's lie, beside what is ``known``.

    ``places`` int64 [N] are those of the examples ``rows`` in all parts, one after the other.
    """
    memo = picture_memo(dataset)
    with atomic.folder(memo) as kept:
        made.make([PictureMemo(memo), PictureMemo(early_picture_memo(dataset))], kept)
        total, squares = made.sums(kept, places[split == TRAIN])
        pixels = made.sha256(kept)
        at = made.link(kept, folder, places)
    columns = {ENCODED["images"]: "sha256", ENCODED["inputs"]: f"{manifest.INPUT}sha256"}
    hashes = {}
    for place, name in enumerate(SPLITS):
        chosen = np.flatnonzero(split == place)
        writer = SplitWriter(folder, name, len(chosen), _layout(known | at))
        writer.add({tensor: values[chosen] for tensor, values in (known | at).items()})
        hashes[name] = writer.close()
        # Where pictures lie changes with other parts; what they are does not.
        for tensor in at:
            del hashes[name][tensor]
            found = hashlib.sha256()
            if tensor == PIXELS_AT:
                found.update(pixels[places[chosen]])
            else:
                for piece in compact.hexadecimal(compact.digests(rows[columns[tensor]]), chosen):
                    found.update(piece)
            hashes[name][tensor.removesuffix("_at")] = found.hexdigest()
    return Written(hashes, total, squares)


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


def _classes(dataset: str, settings: spec.DatasetSpec, rows: pa.Table) -> tuple[str, ...]:
    if settings.objects is None:
        found = sorted(compact.named(rows["label"])[0])
    else:
        found = sorted(rows["categories"].combine_chunks().flatten().unique().to_pylist())
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


def _labels(settings: spec.DatasetSpec, rows: pa.Table, classes: tuple[str, ...]) -> np.ndarray:
    if settings.objects is not None:
        return np.full(len(rows), NO_OBJECT, np.int64)
    labels, of_row = compact.named(rows["label"])
    return np.array([classes.index(label) for label in labels], np.int64)[of_row]


def _contents(digests: np.ndarray) -> np.ndarray:
    """Return the first eight bytes of each SHA-256, int64 [N]."""
    return digests.view(">u8")[:, 0].astype(np.uint64).view(np.int64)


def _symbols(dataset: str, settings: spec.DatasetSpec, rows: pa.Table) -> tuple[str, ...] | None:
    """Return what transcripts are made of, in the order of the indices; None for data without transcripts."""
    if settings.text is None:
        return None
    found = sorted(rows["symbols"].combine_chunks().flatten().unique().to_pylist())
    symbols = settings.text.symbols or tuple(found)
    for symbol in found:
        if symbol not in symbols:
            raise UserError(
                f"{dataset_file(dataset)}: text.symbols: lacks the symbol {symbol!r} of a transcript."
                f"{nearest(symbol, symbols)}"
            )
    return symbols


def _words(rows: pa.Table, split: np.ndarray) -> tuple[str, ...] | None:
    """Return the words of train's captions, which have a token each; None for data without captions."""
    if "words" not in rows.column_names:
        return None
    of_train = rows["words"].combine_chunks().take(arrow.of_numbers(np.flatnonzero(split == TRAIN)))
    return tuple(sorted(of_train.flatten().unique().to_pylist()))


def _tokens(column: pa.ChunkedArray, encode: Callable[..., np.ndarray], known: tuple[str, ...]) -> np.ndarray:
    """Return the rows that ``encode`` makes of texts in parts, as long as the longest."""
    texts = column.to_pylist()
    return encode(texts, known, max(map(len, texts)))


def _require_every_split(dataset: str, split: np.ndarray) -> None:
    for place, name in enumerate(SPLITS):
        if not (split == place).any():
            raise UserError(
                f"{dataset_file(dataset)}: splits.{name}: no example is left for the {name} split."
            )


def _layout(known: dict[str, np.ndarray]) -> Layout:
    return {name: (values.dtype, values.shape[1:]) for name, values in known.items()}


def _faces(rows: pa.Table) -> dict[str, np.ndarray]:
    """Return the landmarks [N, L, 2] and the identities' numbers [N] of all rows, where they are known."""
    if "landmarks" not in rows.column_names:
        return {}
    landmarks = np.asarray(rows["landmarks"].combine_chunks().flatten()).reshape(len(rows), -1, 2)
    return {
        "landmarks": landmarks,
        "identities": np.unique(rows["identity"].to_pylist(), return_inverse=True)[1],
    }


def _describe(
    dataset: str,
    settings: spec.DatasetSpec,
    classes: tuple[str, ...],
    symbols: tuple[str, ...] | None,
    words: tuple[str, ...] | None,
    known: dict[str, np.ndarray],
    num_train: int,
    written: Written,
) -> DataSpec:
    image = settings.image
    count = num_train * image.height * image.width
    mean = written.total / count
    variance = written.squares / count - mean**2
    for hashes in written.hashes.values():
        hashes.pop("contents", None)  # what the pictures are is told by the others
    content = {"image": image.to_json(), "classes": classes, "splits": written.hashes}
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
        num_landmarks=known["landmarks"].shape[1] if "landmarks" in known else None,
        symbols=symbols,
        separator=separator,
        longest_text=known["texts"].shape[1] if "texts" in known else None,
        words=words,
        longest_caption=known["captions"].shape[1] if "captions" in known else None,
        max_objects=known["boxes"].shape[1] if "boxes" in known else None,
        has_masks=settings.objects is not None and settings.objects.masks,
        encoded=settings.is_encoded,
    )


if __name__ == "__main__":
    main(run)
