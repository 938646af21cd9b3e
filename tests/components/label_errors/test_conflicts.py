"""Pictures with two labels: the same bytes, or near by hash and tone."""

from __future__ import annotations

import pandas as pd

from components.label_errors import conflicts
from components.label_errors.conflicts import Conflict
from components.validation.suite import NearDuplicates

ROWS = pd.DataFrame(
    [
        ("a", "cat", "1", "0000000000000000", 0.5, 0.1),
        ("b", "dog", "1", "0000000000000000", 0.5, 0.1),  # the same bytes as a
        ("c", "dog", "2", "0000000000000001", 0.505, 0.1),  # near a
        ("d", "dog", "3", "0000000000000001", 0.9, 0.1),  # near by its hash alone
        ("e", "cat", "4", "0000000000000001", 0.5, 0.1),  # near a, with the same label
        ("f", "cat", "5", "ffffffffffffffff", 0.5, 0.1),
    ],
    columns=["id", "label", "sha256", "phash", "brightness", "contrast"],
)


def test_the_same_bytes_come_first_and_then_the_nearest():
    found = conflicts.find(ROWS, NearDuplicates(distance=2, tone=0.02))
    assert found == [
        Conflict("a", "b", 0, is_same=True),
        Conflict("c", "e", 0, is_same=False),
        Conflict("a", "c", 1, is_same=False),
        Conflict("b", "e", 1, is_same=False),
    ]


def test_without_a_distance_only_the_same_bytes_conflict():
    assert conflicts.find(ROWS, NearDuplicates()) == [Conflict("a", "b", 0, is_same=True)]
