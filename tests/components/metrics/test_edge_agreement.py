"""F1 of edges: against a plain loop over pixels, and what holds whatever the pictures are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from components.metrics.edge_agreement import BESIDE, f1, thickened
from data.image_statistics import grey
from data.recipes.edges import edges
from tests.models import tiny

SIDES = st.tuples(st.integers(3, 9), st.integers(3, 9))


def maps(of: np.ndarray) -> np.ndarray:
    """Return the edge maps [N, H, W, 1] of images [N, H, W, C]."""
    return edges(grey(of))[..., None]


def near(found: np.ndarray, row: int, column: int, beside: int) -> bool:
    rows = range(max(0, row - beside), min(found.shape[0], row + beside + 1))
    columns = range(max(0, column - beside), min(found.shape[1], column + beside + 1))
    return any(found[r, c] for r in rows for c in columns)


def plain(found: np.ndarray, asked: np.ndarray, beside: int) -> float:
    """Return the F1 of one map by the textbook, pixel by pixel."""
    places, wanted = list(zip(*found.nonzero(), strict=True)), list(zip(*asked.nonzero(), strict=True))
    right = sum(near(asked, *place, beside) for place in places)
    recalled = sum(near(found, *place, beside) for place in wanted)
    precision = right / len(places) if places else 1.0
    recall = recalled / len(wanted) if wanted else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("side", [8, 120])
def test_as_a_plain_loop_counts_with_and_without_tolerance(side):
    digits = tiny.digits()[0][:8].repeat(side // 8, axis=1).repeat(side // 8, axis=2)
    images, others = digits[:4], np.roll(digits[2:6], 1, axis=1)
    beside = int(BESIDE * math.hypot(side, side))
    assert beside == (0 if side == 8 else 1)
    expected = [
        plain(ours[..., 0] > 0, theirs[..., 0] > 0, beside)
        for ours, theirs in zip(maps(images), maps(others), strict=True)
    ]
    np.testing.assert_allclose(f1(images, maps(others)), expected)
    assert min(expected) > 0 and max(expected) < 1


@given(arrays.arrays(np.uint8, SIDES.map(lambda sides: (2, *sides, 1))))
@settings(deadline=None)
def test_it_is_a_share_and_one_where_all_edges_are_right(images):
    np.testing.assert_allclose(f1(images, maps(images)), 1)
    scored = f1(images, maps(images)[::-1])
    assert scored.dtype == np.float64 and ((scored >= 0) & (scored <= 1 + 1e-9)).all()
    # Which of two pictures has the edges and which is to have them is all the same.
    np.testing.assert_allclose(scored[0], scored[1])


@given(arrays.arrays(bool, SIDES.map(lambda sides: (2, *sides))), st.integers(0, 2))
@settings(deadline=None)
def test_what_is_thickened_is_all_that_is_near(found, beside):
    expected = [
        [[near(one, row, column, beside) for column in range(one.shape[1])] for row in range(one.shape[0])]
        for one in found
    ]
    np.testing.assert_array_equal(thickened(found, beside), expected)


def test_pictures_without_edges():
    flat, digit = np.full((1, 8, 8, 1), 90, np.uint8), tiny.digits()[0][:1]
    assert f1(flat, maps(flat)).tolist() == [1]
    assert f1(flat, maps(digit)).tolist() == [0]
    assert f1(digit, maps(flat)).tolist() == [0]


def test_many_pictures_are_scored_as_each_alone(monkeypatch):
    images, asked = tiny.digits()[0][:7], maps(tiny.digits()[0][1:8])
    alone = [f1(images[k : k + 1], asked[k : k + 1])[0] for k in range(7)]
    monkeypatch.setattr("components.metrics.edge_agreement._CHUNK", 3)
    np.testing.assert_array_equal(f1(images, asked), alone)
