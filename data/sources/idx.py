"""The idx format of MNIST and its kin (LeCun, Cortes, Burges: The MNIST database, section File formats)."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from data.errors import UserError

_UNSIGNED_BYTE = 0x08


def read(path: Path, sha256: str) -> np.ndarray:
    """Read a gzip-compressed idx file of unsigned bytes.

    Args:
        path: the ``.gz`` file.
        sha256: what the decompressed content must hash to. (Compressed files differ: Debian packs them anew.)

    Returns:
        uint8, of the shape that the file's header says.

    Raises:
        UserError: the file cannot be read, or its content is not the expected one.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UserError(
            f"{path}: its content has SHA-256 {found}, expected {sha256}: it is damaged or another file."
        )
    return parse(content)


def parse(content: bytes) -> np.ndarray:
    """Return the array that decompressed idx ``content`` holds.

    Raises:
        ValueError: it is no idx of unsigned bytes, or has too many or too few bytes for its shape.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise ValueError("not an idx file of unsigned bytes")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    shape = tuple(int(side) for side in np.frombuffer(content[4:start], dtype=">u4"))
    if len(shape) != dimensions or len(content) - start != math.prod(shape):
        raise ValueError(f"idx of shape {shape} has {len(content) - start} bytes of data")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
