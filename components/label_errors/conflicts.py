"""Pictures that are there twice, or nearly so, with two different labels: one of the two is wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from components.validation.suite import NearDuplicates
from data.perceptual_hash import from_hex, near_pairs


class Conflict(NamedTuple):
    """Two rows of a manifest.

    Attributes:
        first: the id of the one.
        second: that of the other.
        bits: in how many of 64 bits their perceptual hashes differ.
        is_same: whether their bytes are the same.
    """

    first: str
    second: str
    bits: int
    is_same: bool


def find(rows: pd.DataFrame, rule: NearDuplicates) -> list[Conflict]:
    """Return the conflicts: the same contents first, then the nearest.

    Args:
        rows: columns ``id``, ``label``, ``sha256``, ``phash``, ``brightness`` and ``contrast`` of the manifest.
        rule: when two images count as the same picture; without a distance, where their bytes are the same.
    """
    hashes = from_hex(rows["phash"].tolist())
    left, right = near_pairs(hashes, hashes, rule.distance or 0)
    labels, contents = (rows[name].to_numpy() for name in ("label", "sha256"))
    wanted = (left < right) & (labels[left] != labels[right])
    left, right = left[wanted], right[wanted]
    is_same = contents[left] == contents[right]
    alike = np.full(len(left), rule.distance is not None)
    for name in ("brightness", "contrast"):
        values = rows[name].to_numpy()
        alike &= np.abs(values[left] - values[right]) <= rule.tone
    bits = np.bitwise_count(hashes[left] ^ hashes[right])
    ids = rows["id"].to_numpy()
    found = [
        Conflict(str(ids[one]), str(ids[other]), int(differing), bool(same))
        for one, other, differing, same, near in zip(left, right, bits, is_same, alike, strict=True)
        if same or near
    ]
    return sorted(found, key=lambda one: (not one.is_same, one.bits, one.first, one.second))
