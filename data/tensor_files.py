"""Safetensors files without reading or holding them: headers as the library writes them, and maps of tensors.

A file is 8 bytes of header length, the header (JSON, padded so that what follows is aligned), and the tensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

Layout = Mapping[str, tuple[Any, tuple[int, ...]]]
"""By a tensor's name, its dtype and shape."""

_DTYPES = {"U8": np.dtype("u1"), "F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
"""The types that Darkroom keeps, in the reverse of the order in which the library lays them out."""
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def begin(layout: Layout) -> tuple[bytes, dict[str, int]]:
    """Return what a file of ``layout`` begins with, as the library writes it, and where each tensor begins in it."""
    order = list(_DTYPES)
    names = sorted(layout, key=lambda name: (-order.index(_name(layout[name][0])), name))
    tensors, place = {}, 0
    for name in names:
        dtype, shape = layout[name]
        size = np.dtype(dtype).itemsize * math.prod(shape)
        tensors[name] = {"dtype": _name(dtype), "shape": shape, "data_offsets": [place, place + size]}
        place += size
    header = json.dumps(tensors, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    first = 8 + len(header)
    return len(header).to_bytes(8, "little") + header, {
        name: first + tensor["data_offsets"][0] for name, tensor in tensors.items()
    }


def encode(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Return the bytes of a file of ``tensors``, whatever their types and their layout in memory.

    safetensors 0.8.0 writes an array's memory as it lies, so that a transposed, reversed or strided array is read back
    with other values and without an error; releases up to 0.7.0 made a copy first.
    """
    return save({name: np.asarray(values, order="C") for name, values in tensors.items()})


def maps(path: Path) -> dict[str, np.ndarray]:
    """Map the tensors of a file, without reading them.

    The maps are copy-on-write: PyTorch takes them without a warning, and the file can never change.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {
        name: np.memmap(
            path,
            _DTYPES[tensor["dtype"]],
            "c",
            8 + length + tensor["data_offsets"][0],
            tuple(tensor["shape"]),
        )
        for name, tensor in header.items()
    }


def _name(dtype: Any) -> str:
    return _NAMES[np.dtype(dtype).newbyteorder("<")]
