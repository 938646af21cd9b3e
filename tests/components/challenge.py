"""Prepared challenge sets of the workspace's data set, made of its own test images, for tests of what measures them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from components.datasets import slices
from components.datasets.challenge_sets import LEFT_OUT, SLICES
from components.datasets.slices import Slices
from components.project import layout
from data import atomic
from data.prepared import PreparedData
from tests import prepared_split
from tests.components.workspace import DATASET


def write(sets: dict[str, np.ndarray], left_out: dict[str, int] | None = None) -> None:
    """Write ``sets``, of each the places int64 [n] of its images in the test split."""
    data = PreparedData(layout.prepared(DATASET))
    rows = np.concatenate([*sets.values()])
    of_set = np.repeat(np.arange(len(sets)), [len(places) for places in sets.values()])
    ids = [f"{place}/{data.test.ids[row]}" for place, row in zip(of_set, rows, strict=True)]
    with atomic.folder(layout.challenge_sets(DATASET)) as folder:
        images = data.test.images[rows]
        prepared_split.write(folder, "test", {"images": images, "labels": data.test.labels[rows]})
        atomic.write_json(folder / "spec.json", replace(data.spec, sha256="c" * 64).to_json())
        atomic.write_json(folder / "ids.json", {"test": ids})
        atomic.write_json(folder / LEFT_OUT, left_out or dict.fromkeys(sets, 0))
        members = of_set[:, None] == np.arange(len(sets))
        slices.write(folder / SLICES, Slices(ids, dict.fromkeys(sets, "all of its images"), members))
