"""``manifest.parquet`` and the files of bytes beside it: their columns, and how they are written and read.

They are written with fixed options, so that the same rows give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import UserError

MANIFEST = "manifest.parquet"
IMAGES = "images.parquet"
INPUTS = "inputs.parquet"
"""The images that those of ``IMAGES`` are translations of; only data for translation has it."""
MASKS = "masks.parquet"
"""The masks of the objects (``components/datasets/instance_masks.py``); only data for detection may have it."""

DESCRIPTION = (
    "width", "height", "mode", "format", "bytes", "sha256", "phash", "decodes", "error",
    "brightness", "contrast", "sharpness",
)  # fmt: skip
"""The columns that describe an image; those of an input have ``INPUT`` before their names."""

INPUT = "input_"

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
    }
)
"""A row per example. What cannot be known of a file that does not decode is null."""

PAIRED_SCHEMA = pa.schema(
    [
        *SCHEMA,
        pa.field(f"{INPUT}source", pa.string()),
        *(SCHEMA.field(name).with_name(f"{INPUT}{name}") for name in DESCRIPTION),
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
    ]
)
"""Of data for detection: how many objects lie in the image, what is wrong with them if anything is, and of each in turn
its class, its box (x0, y0, x1, y1 in pixels of the original, as annotated), and whether it is a crowd."""

IMAGE_SCHEMA = pa.schema({"id": pa.string(), "bytes": pa.large_binary()})
"""The bytes of each example, in the order of the manifest; null for one that does not decode."""

_GROUP_BYTES = 64 << 20


class Writer:
    """Writes the files as the rows come; about 64 MiB of image bytes are in memory at a time."""

    def __init__(self, folder: Path, schema: pa.Schema = SCHEMA, files: tuple[str, ...] = (IMAGES,)) -> None:
        """Begin the manifest and ``files`` in ``folder``, which exists."""
        self._schema = schema
        self._manifest = _open(folder / MANIFEST, self._schema)
        self._contents = {file: _open(folder / file, IMAGE_SCHEMA) for file in files}
        self._rows: list[dict] = []
        self._pending: dict[str, list[bytes | None]] = {file: [] for file in files}
        self._bytes = 0

    def add(self, row: dict, *contents: bytes | None) -> None:
        """Append a row of the manifest and its bytes in each of the files."""
        self._rows.append(row)
        for pending, content in zip(self._pending.values(), contents, strict=True):
            pending.append(content)
            self._bytes += len(content or b"")
        if self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Finish the files."""
        self._flush()
        for file in (self._manifest, *self._contents.values()):
            file.close()

    def _flush(self) -> None:
        if self._rows:
            ids = [row["id"] for row in self._rows]
            self._manifest.write_table(pa.Table.from_pylist(self._rows, self._schema))
            for name, file in self._contents.items():
                file.write_table(pa.table({"id": ids, "bytes": self._pending[name]}, IMAGE_SCHEMA))
        self._rows, self._pending, self._bytes = [], {name: [] for name in self._pending}, 0


def read(folder: Path) -> pd.DataFrame:
    """Return the manifest of an ``ingest`` folder, in its order, with index 0 to N - 1.

    Raises:
        UserError: there is none.
    """
    try:
        return pq.read_table(folder / MANIFEST).to_pandas()
    except FileNotFoundError:
        raise UserError(f"{folder}: no {MANIFEST} there. Run the ingest stage first.") from None


def read_images(folder: Path, name: str = IMAGES) -> Iterator[list[bytes | None]]:
    """Yield the bytes of ``IMAGES``, ``INPUTS`` or ``MASKS`` of an ``ingest`` folder, a group of rows at a time.

    They are in the manifest's order, and all files have the same groups.
    """
    file = pq.ParquetFile(folder / name)
    for group in range(file.num_row_groups):
        yield file.read_row_group(group, columns=["bytes"]).column("bytes").to_pylist()


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 of the manifest file of an ``ingest`` folder."""
    with (folder / MANIFEST).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Contents and hashes do not repeat: dictionaries and statistics would only cost time.
    return pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, use_dictionary=False, write_statistics=False
    )
