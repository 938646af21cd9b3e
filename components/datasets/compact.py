"""Columns of :func:`components.datasets.manifest.read_compact` as arrays: some bytes an example, and no string."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.datasets.arrow import of_numbers, to_numpy
from data.prepared import SPLITS

_ROWS = 4096
"""Rows of which strings are made at a time."""


def digests(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of bytes, as many in each row, as uint8 [N, bytes]; where one is missing, any are there."""
    values = column.combine_chunks()
    content = np.frombuffer(values.buffers()[1], np.uint8).reshape(-1, values.type.byte_width)
    return content[values.offset : values.offset + len(values)]


def numbers(digests: np.ndarray) -> np.ndarray:
    """Return of each of uint8 [N, 32] its place, int64, among all that there are in their order, from 0."""
    words = [word.astype(np.uint64) for word in digests.view(">u8").T]
    order = np.lexsort(words[::-1])
    is_new = np.zeros(len(order), bool)
    for word in words:
        is_new[1:] |= np.diff(word[order]) != 0
    places = np.empty(len(order), np.int64)
    places[order] = np.cumsum(is_new)
    return places


def named(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Return the names that a column of ``FEW`` has, and int [N], of each row the place of its name among them."""
    values = column.combine_chunks()
    return values.dictionary.to_pylist(), to_numpy(values.indices)


def hexadecimal(digests: np.ndarray, rows: np.ndarray) -> Iterator[bytes]:
    """Yield the digits of ``rows`` of uint8 [N, 32], one after the other with a line's end between them, in pieces."""
    for start in range(0, len(rows), _ROWS):
        of_each = [one.tobytes().hex() for one in digests[rows[start : start + _ROWS]]]
        yield (("\n" if start else "") + "\n".join(of_each)).encode()


def write_by_split(path: Path, column: pa.ChunkedArray, split: np.ndarray) -> None:
    """Write the names of a column as JSON, a list for each split, as ``data/atomic.py`` would.

    Args:
        path: the file.
        column: N names.
        split: int [N], of each its place in ``SPLITS``; none is empty.
    """
    names = column.combine_chunks()
    with path.open("w") as file:
        file.write("{")
        for number, place in enumerate(sorted(range(len(SPLITS)), key=SPLITS.__getitem__)):
            file.write(f'{"," if number else ""}\n  "{SPLITS[place]}": [')
            rows = np.flatnonzero(split == place)
            for start in range(0, len(rows), _ROWS):
                told = map(json.dumps, names.take(of_numbers(rows[start : start + _ROWS])).to_pylist())
                file.write(("," if start else "") + "\n    " + ",\n    ".join(told))
            file.write("\n  ]")
        file.write("\n}\n")
