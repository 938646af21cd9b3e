"""The manifest of a data set and the images' bytes beside it: columns, and how they are read.

An ``ingest`` folder is a list of parts, each of some hundred examples (``components/datasets/parts.py``): a file
of rows in ``manifest/`` and a shard of bytes in ``images/`` (``data/image_shards.py``), each named by the SHA-256 of
its content. The manifest is the rows of all parts, in the order of ``id``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.datasets import arrow
from data.errors import UserError
from data.image_shards import EncodedImages
from data.slices import DESCRIBED

if TYPE_CHECKING:
    import pandas as pd  # ingest does without

MANIFEST = "manifest"
"""The folder of the files of rows."""

SHARDS = "images"
"""The folder of the shards of bytes."""

IMAGES = "images"
INPUTS = "inputs"
"""The images that those of ``IMAGES`` are translations of; only data for translation has them."""
MASKS = "masks"
"""The masks of the objects (``components/datasets/instance_masks.py``); only data for detection may have them."""

PLACES = {IMAGES: "row", INPUTS: "input_row", MASKS: "mask_row"}
"""The column that says where in the ``shard`` of its row each kind of content lies; null where there is none."""

DESCRIPTION = (
    "width", "height", "mode", "format", "bytes", "sha256", "phash", "decodes", "error",
    "brightness", "contrast", "sharpness",
)  # fmt: skip
"""The columns that describe an image; those of an input have ``INPUT`` before their names."""

INPUT = "input_"

HASHES = ("sha256", f"{INPUT}sha256")
"""The columns of SHA-256, in hexadecimal digits."""

BYTES = {"sha256": 32, f"{INPUT}sha256": 32, "phash": 8}
"""The columns of hexadecimal digits, and how many bytes each value says."""

FEW = (
    "split",
    "label",
    "mode",
    "format",
    "error",
    *(f"{INPUT}{name}" for name in ("mode", "format", "error")),
)
"""The columns of which many rows have the same, or nothing."""

_PIECES = 64
"""Files whose rows are held before they are joined: as pieces, they take several times what is in them."""

_ORDER = ("id", "sha256")
"""What the manifest is sorted by: the hash makes the order certain, should two ids be the same."""

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "source": pa.string(),
        "split": pa.string(),
        "label": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "mode": pa.string(),
        "format": pa.string(),
        "bytes": pa.int64(),
        "sha256": pa.string(),
        "phash": pa.string(),
        "decodes": pa.bool_(),
        "error": pa.string(),
        "brightness": pa.float64(),
        "contrast": pa.float64(),
        "sharpness": pa.float64(),
        "shard": pa.string(),
        "row": pa.int32(),
    }
)
"""A row per example. What cannot be known of a file that does not decode is null.

``shard`` is the name of a file in ``SHARDS``, ``row`` the place of the image in it."""

PAIRED_SCHEMA = pa.schema(
    [
        *SCHEMA,
        pa.field(f"{INPUT}source", pa.string()),
        *(SCHEMA.field(name).with_name(f"{INPUT}{name}") for name in (*DESCRIPTION, "row")),
    ]
)
"""Of data for translation: the image, and the input that it is the translation of."""

FACE_SCHEMA = pa.schema(
    [
        *SCHEMA,
        pa.field("identity", pa.string()),
        pa.field("landmarks", pa.list_(pa.float32())),
        pa.field("least_landmark", pa.float64()),
        pa.field("greatest_landmark", pa.float64()),
    ]
)
"""Of data for reenactment: who is seen, and the points of the face, x and y in turn, in [0, 1] of the picture."""

TEXT_SCHEMA = pa.schema([*SCHEMA, pa.field("text", pa.string()), pa.field("symbols", pa.list_(pa.string()))])
"""Of data for transcription: what is written in the image, and the symbols that it is made of; null when missing."""

CAPTION_SCHEMA = pa.schema([*SCHEMA, pa.field("text", pa.string()), pa.field("words", pa.list_(pa.string()))])
"""Of data for text to image: the caption, and the words that it is read by; null when missing."""

SKETCH_SCHEMA = pa.schema([*PAIRED_SCHEMA, *(CAPTION_SCHEMA.field(name) for name in ("text", "words"))])
"""Of data for controlled generation: the input by which the image was drawn, and its caption."""

OBJECT_SCHEMA = pa.schema(
    [
        *SCHEMA,
        pa.field("objects", pa.int32()),
        pa.field("object_error", pa.string()),
        pa.field("categories", pa.list_(pa.string())),
        pa.field("boxes", pa.list_(pa.float64())),
        pa.field("crowd", pa.list_(pa.bool_())),
        pa.field("mask_row", pa.int32()),
    ]
)
"""Of data for detection: how many objects lie in the image, what is wrong with them if anything is, and of each in turn
its class, its box (x0, y0, x1, y1 in pixels of the original, as annotated), and whether it is a crowd."""


SPLIT_COLUMNS = {"group": pa.string(), "time": pa.timestamp("us", tz="UTC")}
"""Of data whose splits are made by them: what an image belongs to, and when it was made."""

METADATA = "metadata."
"""What stands before the names of the columns that come from the user's metadata, for slices."""


def column(name: str) -> str:
    """Return the column of the manifest that a slice means by ``name``."""
    return name if name in DESCRIBED else f"{METADATA}{name}"


def read(folder: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Return the manifest of an ``ingest`` folder, in its order, with index 0 to N - 1.

    Args:
        folder: the ``ingest`` folder.
        columns: those that are read; without it all are.

    Raises:
        UserError: there is none.
    """
    return _table(folder, columns)[0].to_pandas()


def read_compact(
    folder: Path, chosen: list[str], digests: Sequence[str] = HASHES, few: Sequence[str] = FEW
) -> tuple[pa.Table, np.ndarray]:
    """Return columns, of many examples in little memory, and where each row is in all :func:`files` of rows.

    Args:
        folder: the ``ingest`` folder.
        chosen: the columns that are read.
        digests: those of ``BYTES`` that come as bytes.
        few: those that come as dictionaries.

    Returns:
        The rows in the order of the manifest, each column in one piece; and int64 [N], places in all files of rows,
        one after the other.

    Raises:
        UserError: there is no manifest.
    """
    told, repeated = ([name for name in names if name in chosen] for names in (digests, few))
    return _table(folder, chosen, told, repeated)


def columns(folder: Path) -> list[str]:
    """Return the names of the columns that an ``ingest`` folder has.

    Raises:
        UserError: there is no manifest.
    """
    return pq.read_schema(_require(folder)[0]).names


def files(folder: Path) -> list[Path]:
    """Return the files of rows of an ``ingest`` folder, in the order of their names."""
    return sorted((folder / MANIFEST).glob("*.parquet"))


class Contents(Sequence[bytes | None]):
    """The contents of one kind, in the manifest's order; read when they are asked for, by many threads if need be.

    Attributes:
        paths: the shards, in the order of their names.
        places: int64 [N], where in all shards together each content lies; -1 where there is none.
    """

    def __init__(self, folder: Path, kind: str = IMAGES) -> None:
        """Look at the shards of an ``ingest`` folder; ``kind`` is one of ``PLACES``.

        Raises:
            UserError: there is no manifest, or a shard is not there or damaged.
        """
        table, _ = _table(folder, ["shard", PLACES[kind]])
        shards = table["shard"].combine_chunks().dictionary_encode()
        rows = table[PLACES[kind]].combine_chunks()
        names = shards.dictionary.to_pylist()
        self.paths = tuple(folder / SHARDS / name for name in sorted(names))
        self._images = EncodedImages(self.paths)
        # Of a row without content the numbers are of no account; -1 marks it.
        is_there = arrow.is_there(rows)
        shard, row = (np.where(is_there, arrow.to_numpy(values), 0) for values in (shards.indices, rows))
        first = dict(zip(sorted(names), self._images.starts, strict=True))
        starts = np.array([*(first[name] for name in names), 0])
        self.places = np.where(is_there, starts[shard] + row, -1)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> bytes | None:
        """Return the content of row ``index`` of the manifest; None of one that has none."""
        place = int(self.places[index])
        return None if place < 0 else self._images[place]


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 of the manifest of an ``ingest`` folder: of its files of rows, in the order of their names."""
    found = hashlib.sha256()
    for path in files(folder):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _require(folder: Path) -> list[Path]:
    found = files(folder)
    if not found:
        raise UserError(f"{folder}: no {MANIFEST} there. Run the ingest stage first.")
    return found


def _table(
    folder: Path, chosen: list[str] | None, digests: Sequence[str] = (), few: Sequence[str] = ()
) -> tuple[pa.Table, np.ndarray]:
    wanted = None if chosen is None else list(dict.fromkeys([*chosen, *_ORDER]))
    table = _joined([_joined([_rows(path, wanted, digests, few) for path in some]) for some in _some(folder)])
    arrow.give_back()
    places = _order(table)
    taken = {}
    for name in table.column_names if chosen is None else chosen:
        # Column by column, so that what was taken is given back before the next one is.
        taken[name] = table[name].combine_chunks().take(places)
        table = table.drop_columns([name])
    table = pa.Table.from_arrays([*taken.values()], [*taken])
    return table, arrow.to_numpy(places).astype(np.int64)


def _some(folder: Path) -> Iterator[list[Path]]:
    found = _require(folder)
    return (found[start : start + _PIECES] for start in range(0, len(found), _PIECES))


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _rows(path: Path, chosen: list[str] | None, digests: Sequence[str], few: Sequence[str]) -> pa.Table:
    # File by file: a reader of all of them buffers twenty times what the columns are.
    with pq.ParquetFile(path, pre_buffer=False, read_dictionary=list(few)) as file:
        table = file.read(chosen, use_threads=False)
    for name in digests:
        place = table.column_names.index(name)
        table = table.set_column(place, name, _digests(table[name].to_pylist(), BYTES[name]))
    return table


def _digests(texts: list[str | None], size: int) -> pa.Array:
    if None in texts:
        return pa.array([None if text is None else bytes.fromhex(text) for text in texts], pa.binary(size))
    return arrow.of_bytes(bytes.fromhex("".join(texts)), size)


def _order(table: pa.Table) -> pa.Array:
    import pyarrow.compute as pc  # Slow to import, and ingest does without it.

    return pc.sort_indices(table, [(name, "ascending") for name in _ORDER])
