"""Arrow's arrays of Python's values, of NumPy's and of bytes, and NumPy's arrays of Arrow's.

pyarrow's own ways look whether what they are given is of pandas, and so import it: .3 s and 50 MiB, of which a stage on
a folder of images has no other use.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

# What is freed serves others again, and what was large goes back to the system. pyarrow's own allocator keeps it, and
# 20 MiB from the beginning; glibc keeps what is smaller than the largest block that was freed, unless told a size.
pa.set_memory_pool(pa.system_memory_pool())
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
if _LIBC:
    _M_MMAP_THRESHOLD = -3
    _LIBC.mallopt(_M_MMAP_THRESHOLD, 1 << 17)

_NUMBERS = {
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.uint64(): np.uint64,
    pa.float32(): np.float32,
    pa.float64(): np.float64,
}


def table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return the rows as a table; what a row has no value of is null."""
    arrays = [array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def array(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    """Return ``values``, None among them, as an array of strings, numbers, truths, or lists of these."""
    is_there = np.fromiter((value is not None for value in values), bool, len(values))
    valid = None if is_there.all() else _buffer(np.packbits(is_there, bitorder="little"))
    if pa.types.is_list(type):
        there = [value if value is not None else () for value in values]
        content = array(list(chain.from_iterable(there)), type.value_type)
        return pa.Array.from_buffers(
            type, len(values), [valid, _offsets(map(len, there))], children=[content]
        )
    if pa.types.is_string(type):
        texts = [b"" if value is None else value.encode() for value in values]
        return pa.Array.from_buffers(
            type, len(values), [valid, _offsets(map(len, texts)), pa.py_buffer(b"".join(texts))]
        )
    if pa.types.is_timestamp(type):
        return pa.array(values, type)
    if pa.types.is_boolean(type):
        content = np.packbits(np.fromiter(map(bool, values), bool, len(values)), bitorder="little")
    else:
        content = np.array([0 if value is None else value for value in values], _NUMBERS[type])
    return pa.Array.from_buffers(type, len(values), [valid, _buffer(content)])


def of_bytes(content: bytes, size: int) -> pa.Array:
    """Return an array of which each value is the next ``size`` bytes of ``content``."""
    return pa.Array.from_buffers(pa.binary(size), len(content) // size, [None, pa.py_buffer(content)])


def of_numbers(numbers: np.ndarray) -> pa.Array:
    """Return int64 [N] as an array."""
    content = np.ascontiguousarray(numbers, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(content), [None, _buffer(content)])


def to_numpy(numbers: pa.Array) -> np.ndarray:
    """Return numbers [N] without a copy; where one is missing, any is there."""
    if not len(numbers):
        return np.empty(0, _NUMBERS[numbers.type])
    found = np.frombuffer(numbers.buffers()[1], _NUMBERS[numbers.type])
    return found[numbers.offset : numbers.offset + len(numbers)]


def is_there(values: pa.Array) -> np.ndarray:
    """Return bool [N]: which of ``values`` are not missing."""
    valid = values.buffers()[0]
    if valid is None:
        return np.ones(len(values), bool)
    bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
    return bits[values.offset : values.offset + len(values)].astype(bool)


def give_back() -> None:
    """Give what small pieces left free back to the system: between those that stay, glibc keeps it."""
    if _LIBC:
        _LIBC.malloc_trim(0)


def _offsets(lengths: Iterable[int]) -> pa.Buffer:
    return _buffer(np.cumsum([0, *lengths], dtype=np.int32))


def _buffer(content: np.ndarray) -> pa.Buffer:
    return pa.py_buffer(content)
