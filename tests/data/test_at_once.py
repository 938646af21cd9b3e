"""How many pictures are computed on together."""

from __future__ import annotations

import pytest

from data import at_once


@pytest.mark.parametrize(
    ("shape", "most", "expected"),
    [
        ((8, 8, 1), 512, 512),
        ((64, 64, 1), 512, 512),
        ((32, 32, 3), 512, 512),
        ((64, 64, 3), 512, 170),
        ((224, 224, 3), 512, 13),
        ((224, 224, 3), 8, 8),
        ((4096, 4096, 3), 512, 1),
    ],
)
def test_large_pictures_are_fewer_and_those_of_today_are_as_many(shape, most, expected):
    assert at_once.pictures(shape, most) == expected
