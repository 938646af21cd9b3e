"""The rule ``content`` of ``data/splits.py`` on arrays: of many examples in little memory, and without pandas."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from data.prepared import SPLITS
from data.spec import Splits

OPEN = -1
"""In place of a split's number: the source does not say."""


def by_content(given: np.ndarray, digests: np.ndarray, splits: Splits) -> np.ndarray:
    """Return what :func:`data.splits.assign` does by the rule ``content``, without ``test_weeks``.

    Args:
        given: int8 [N], what the source says: a place in ``SPLITS``, or ``OPEN``.
        digests: uint8 [N, 32], the SHA-256 of each row.
        splits: as there.

    Returns:
        int8 [N], places in ``SPLITS``.
    """
    train, validation, test = (SPLITS.index(name) for name in ("train", "validation", "test"))
    place = hashed((one.tobytes().hex() for one in digests), splits.salt)
    until_test = 0.0 if test in given else splits.test
    until_validation = until_test + (0.0 if validation in given else splits.validation)
    held_out = np.flatnonzero(given > train)
    taken = {digests[row].tobytes() for row in held_out}
    is_open = given <= train
    if taken:
        is_open &= np.fromiter((one.tobytes() not in taken for one in digests), bool, len(digests))
    split = np.maximum(given, train)
    split[is_open & (place < until_validation)] = validation
    split[is_open & (place < until_test)] = test
    return split.astype(np.int8)


def hashed(units: Iterable[str], salt: str) -> np.ndarray:
    """Return for each unit its place in [0, 1): a hash of it and the salt, evenly spread."""
    found = (hashlib.sha256(f"{salt}\n{one}".encode()).digest()[:8] for one in units)
    return np.frombuffer(b"".join(found), ">u8") / 2**64
