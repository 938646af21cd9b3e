"""The prepared images of a data set's challenge sets: they are measured as a test split is, and lie in no split.

Folder layout, written by the ``prepare`` stage beside the prepared folder::

    slices.parquet        which images each set holds, as slices (``components/datasets/slices.py``); empty without sets
    left_out.json         of each set, how many images are in a split and therefore not in it
    spec.json, ids.json, test-00000.safetensors    as ``data/prepared.py`` says, with all of them in ``test``

It lies beside because no training depends on it: who adds a challenge set trains nothing anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np

from components.datasets import slices
from components.datasets.slices import Slices
from components.project import layout
from data.prepared import PreparedData

SLICES, LEFT_OUT = "slices.parquet", "left_out.json"


@dataclass(frozen=True)
class ChallengeSets:
    """The challenge sets of a data set.

    Attributes:
        data: the data set, with the images of all sets in the place of the test split.
        sets: which of them each set holds.
        left_out: of each setting, how many images are in a split, and left out.
        sha256: a hash of them all.
    """

    data: PreparedData
    sets: Slices
    left_out: dict[str, int]
    sha256: str

    def without(self, seen: np.ndarray | None) -> ChallengeSets:
        """Return them without the images whose contents are among ``seen`` int64 [n]."""
        if seen is None:
            return self
        rows = np.flatnonzero(~np.isin(self.data.test.contents, seen))
        return replace(self, data=self.data.tested_on(rows), sets=self.sets.take(rows))


def read(dataset: str) -> ChallengeSets | None:
    """Return the challenge sets of ``dataset``; None where it has none."""
    folder = layout.challenge_sets(dataset)
    sets = slices.load(folder / SLICES) if (folder / SLICES).exists() else None
    if sets is None:
        return None
    data, further = PreparedData(layout.prepared(dataset)), PreparedData(folder)
    data.test = further.test
    return ChallengeSets(
        data,
        sets,
        json.loads((folder / LEFT_OUT).read_text()),
        hashlib.sha256(f"{further.spec.sha256}{sets.sha256}".encode()).hexdigest(),
    )
