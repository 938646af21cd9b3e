"""``manifest.parquet`` and ``images.parquet``: their columns, and how they are written and read.

Both are written with fixed options, so that the same rows give the same bytes.
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

IMAGE_SCHEMA = pa.schema({"id": pa.string(), "bytes": pa.large_binary()})
"""The bytes of each example, in the order of the manifest; null for one that does not decode."""

_GROUP_BYTES = 64 << 20


class Writer:
    """Writes both files as the rows come; about 64 MiB of image bytes are in memory at a time."""

    def __init__(self, folder: Path) -> None:
        """Begin both files in ``folder``, which exists."""
        self._manifest = _open(folder / MANIFEST, SCHEMA)
        self._images = _open(folder / IMAGES, IMAGE_SCHEMA)
        self._rows: list[dict] = []
        self._contents: list[bytes | None] = []
        self._pending = 0

    def add(self, row: dict, content: bytes | None) -> None:
        """Append a row of the manifest, and the image's bytes."""
        self._rows.append(row)
        self._contents.append(content)
        self._pending += len(content or b"")
        if self._pending >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Finish both files."""
        self._flush()
        self._manifest.close()
        self._images.close()

    def _flush(self) -> None:
        if self._rows:
            ids = [row["id"] for row in self._rows]
            self._manifest.write_table(pa.Table.from_pylist(self._rows, SCHEMA))
            self._images.write_table(pa.table({"id": ids, "bytes": self._contents}, IMAGE_SCHEMA))
        self._rows, self._contents, self._pending = [], [], 0


def read(folder: Path) -> pd.DataFrame:
    """Return the manifest of an ``ingest`` folder, in its order, with index 0 to N - 1.

    Raises:
        UserError: there is none.
    """
    try:
        return pq.read_table(folder / MANIFEST).to_pandas()
    except FileNotFoundError:
        raise UserError(f"{folder}: no {MANIFEST} there. Run the ingest stage first.") from None


def read_images(folder: Path) -> Iterator[list[bytes | None]]:
    """Yield the images' bytes of an ``ingest`` folder, a group of rows at a time, in the manifest's order."""
    file = pq.ParquetFile(folder / IMAGES)
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
