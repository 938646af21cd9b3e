"""Tensors on the wire: V2's datatypes, as JSON lists and as raw bytes (the binary tensor data extension).

Raw bytes are little-endian, row by row. An element of ``BYTES`` is its length (4 bytes, little-endian) and its bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from components.serving.request_error import Reason, RequestError
from components.serving.v2.values import EXACT, whole_number

DATATYPES = {"uint8": "UINT8", "int64": "INT64", "float32": "FP32", "string": "BYTES"}
"""V2's name of each dtype that a bundle's graph can have (``components/bundles/onnx_session.py``)."""

_DTYPES = {name: np.dtype(dtype) for dtype, name in DATATYPES.items() if dtype != "string"}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
# Asking NumPy for them takes as long as reading the JSON of a small image.
_BOUNDS = {
    dtype: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)) for dtype in _NAMES if dtype.kind in "iu"
}
_MAX_DIMENSIONS = 8
_MAX_TEXTS = 1 << 16  # elements of BYTES: each is read by itself, while all others wait


def datatype_of(values: np.ndarray) -> str:
    """Return V2's name of an array's dtype; arrays of objects hold text."""
    return _NAMES.get(values.dtype, "BYTES")


def shape_of(name: str, shape: Any) -> tuple[int, ...]:
    """Return ``shape`` as a tuple.

    Raises:
        RequestError: it is no list of lengths (INVALID).
    """
    if not isinstance(shape, list) or len(shape) > _MAX_DIMENSIONS:
        raise RequestError(
            Reason.INVALID, f"input {name!r}: shape must be a list of at most {_MAX_DIMENSIONS} lengths"
        )
    lengths = tuple([given if type(given) is int else whole_number(given) for given in shape])
    for length in lengths:
        if length is None or not 0 <= length < 2**31:
            raise RequestError(
                Reason.INVALID, f"input {name!r}: shape {shape}: lengths are whole numbers from 0"
            )
    return lengths


def from_bytes(name: str, datatype: str, shape: tuple[int, ...], content: memoryview) -> np.ndarray:
    """Return a tensor from its raw bytes, without copying them; of ``BYTES`` an array of ``str`` objects.

    Raises:
        RequestError: the datatype is unknown, or the bytes are not as many as the shape needs (INVALID).
    """
    count = math.prod(shape)
    if datatype == "BYTES":
        return _objects(_split(name, count, content), shape)
    dtype = dtype_of(name, datatype)
    if len(content) != count * dtype.itemsize:
        told = f"{count * dtype.itemsize} bytes, not {len(content)}"
        raise RequestError(Reason.INVALID, f"input {name!r}: {datatype} of shape {list(shape)} is {told}")
    return np.frombuffer(content, dtype).reshape(shape)


def from_list(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> np.ndarray:
    """Return a tensor from a JSON list, flat or nested.

    Raises:
        RequestError: the datatype is unknown, a value does not fit it, or their number is not the shape's (INVALID).
    """
    if not isinstance(data, list):
        raise RequestError(Reason.INVALID, f"input {name!r}: data must be a list")
    if datatype == "BYTES":
        return _objects(_strings(name, data, math.prod(shape)), shape)
    try:
        values = np.array(data)
    except (ValueError, OverflowError):
        raise RequestError(
            Reason.INVALID, f"input {name!r}: data is ragged, or holds others than numbers"
        ) from None
    return from_numbers(name, datatype, shape, values)


def from_numbers(name: str, datatype: str, shape: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    """Return a tensor from numbers of whatever kind they came as.

    Raises:
        RequestError: the datatype is unknown, a value does not fit it, or their number is not the shape's (INVALID).
    """
    dtype = dtype_of(name, datatype)
    if values.size != math.prod(shape):
        raise RequestError(
            Reason.INVALID, f"input {name!r}: shape {list(shape)} does not fit {values.size} values"
        )
    if values.size and not _fits(values, dtype):
        raise RequestError(Reason.INVALID, f"input {name!r}: data holds values that are no {datatype}")
    return values.astype(dtype).reshape(shape)


def dtype_of(name: str, datatype: Any) -> np.dtype:
    """Return the dtype of numbers by V2's name.

    Raises:
        RequestError: there is no such datatype here (INVALID).
    """
    if not isinstance(datatype, str) or datatype not in _DTYPES:
        raise RequestError(
            Reason.INVALID, f"input {name!r}: no datatype {datatype!r}: {', '.join(DATATYPES.values())}"
        )
    return _DTYPES[datatype]


def decoded(name: str, text: bytes) -> str:
    """Return an element of ``BYTES`` as text.

    Raises:
        RequestError: it is not UTF-8 (INVALID).
    """
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise RequestError(Reason.INVALID, f"input {name!r}: an element of BYTES is not UTF-8") from None


def to_bytes(values: np.ndarray) -> bytes:
    """Return a tensor's raw bytes."""
    if values.dtype.kind not in "OUS":
        return values.tobytes()
    texts = [_encoded(text) for text in values.reshape(-1).tolist()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def to_list(values: np.ndarray) -> list[Any]:
    """Return a tensor's values row by row, as JSON takes them."""
    flat = values.reshape(-1).tolist()
    if values.dtype.kind in "OUS":
        return [_encoded(text).decode("utf-8", "replace") for text in flat]
    return flat


def _fits(values: np.ndarray, dtype: np.dtype) -> bool:
    """Whether JSON numbers can be ``dtype`` without loss beyond rounding of floats.

    ``255.0`` is a whole number, too: JSON knows one kind, and some clients write all of them with a point.
    """
    if dtype.kind == "f":
        return values.dtype.kind in "iuf" and bool(np.abs(values).max() <= np.finfo(dtype).max)
    least, most = _BOUNDS[dtype]
    if values.dtype.kind == "f":
        least, most = max(least, 1 - EXACT), min(most, EXACT - 1)
        if not (np.trunc(values) == values).all():
            return False
    elif values.dtype.kind not in "iu":
        return False
    return least <= int(values.min()) and int(values.max()) <= most


def _objects(texts: Sequence[str], shape: tuple[int, ...]) -> np.ndarray:
    values = np.empty(len(texts), dtype=object)
    values[:] = texts
    return values.reshape(shape)


def _split(name: str, count: int, content: memoryview) -> list[str]:
    texts, at = [], 0
    if 4 * count > len(content):
        raise RequestError(
            Reason.INVALID, f"input {name!r}: BYTES of {count} elements need more than {len(content)} bytes"
        )
    if count > _MAX_TEXTS:
        raise RequestError(Reason.INVALID, f"input {name!r}: BYTES of {count} elements; at most {_MAX_TEXTS}")
    for _ in range(count):
        if at + 4 > len(content):
            raise RequestError(Reason.INVALID, f"input {name!r}: BYTES end before their last element")
        (length,) = struct.unpack_from("<I", content, at)
        at += 4
        if at + length > len(content):
            raise RequestError(
                Reason.INVALID, f"input {name!r}: an element of BYTES is longer than what is there"
            )
        texts.append(decoded(name, bytes(content[at : at + length])))
        at += length
    if at != len(content):
        raise RequestError(
            Reason.INVALID, f"input {name!r}: {len(content) - at} bytes after the last element of BYTES"
        )
    return texts


def _strings(name: str, data: list[Any], count: int) -> list[str]:
    flat = data
    for _ in range(_MAX_DIMENSIONS):
        if not any(isinstance(item, list) for item in flat):
            break
        flat = [entry for item in flat for entry in (item if isinstance(item, list) else [item])]
    if not all(isinstance(item, str) for item in flat):
        raise RequestError(Reason.INVALID, f"input {name!r}: BYTES are strings in JSON")
    if len(flat) != count:
        raise RequestError(Reason.INVALID, f"input {name!r}: shape does not fit {len(flat)} values")
    return flat


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
