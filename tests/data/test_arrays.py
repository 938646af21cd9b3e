from __future__ import annotations

import numpy as np
import pytest

from data import arrays
from data.arrays import PlacedArray, ShardedArray, joined, whole
from data.errors import UserError


@pytest.fixture(params=[(7,), (3, 1, 5), (2, 0, 2)])
def both(request):
    """Return an array in memory and the same in parts."""
    expected = np.random.default_rng(0).integers(0, 255, (sum(request.param), 4, 3, 2)).astype(np.uint8)
    return expected, ShardedArray(np.split(expected, np.cumsum(request.param)[:-1]))


def test_it_looks_like_an_array(both):
    expected, found = both
    assert (found.shape, found.dtype, found.ndim, found.nbytes, len(found)) == (
        expected.shape, expected.dtype, expected.ndim, expected.nbytes, len(expected),
    )  # fmt: skip
    np.testing.assert_array_equal(np.asarray(found), expected)
    np.testing.assert_array_equal(np.stack(list(found)), expected)
    np.testing.assert_array_equal(np.concatenate([found, found]), np.concatenate([expected] * 2))


def test_nothing_is_computed_of_all_rows_unasked(both):
    expected, found = both
    for compute in (lambda: found - 1, lambda: expected - found, lambda: found == expected):
        with pytest.raises(TypeError):
            compute()
    with pytest.raises(TypeError):
        expected == found  # noqa: B015


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        np.int64(2),
        slice(None),
        slice(1, 3),
        slice(None, None, -2),
        slice(0, 0),
        [3, 0, 3],
        np.array([[0, 3], [2, 1]]),
        np.array([], np.int64),
        ([2], ..., 0),
        (1, slice(0, 2)),
        (slice(0, 2), 1, 1),
    ],
    ids=str,
)
def test_rows_are_those_of_numpy(both, index):
    expected, found = both
    np.testing.assert_array_equal(found[index], expected[index])
    assert found[index].shape == expected[index].shape and type(found[index]) in (np.ndarray, np.uint8)


def test_bools_choose_rows(both):
    expected, found = both
    chosen = np.arange(len(expected)) % 2 == 1
    np.testing.assert_array_equal(found[chosen], expected[chosen])


def test_rows_beyond_the_end_are_an_error(both):
    expected, found = both
    for index in (len(expected), -len(expected) - 1, [0, len(expected)]):
        with pytest.raises(IndexError):
            found[index]


def test_one_part_stays_what_it_is():
    part = np.zeros((3, 2))
    assert joined([part]) is part and whole(part) is part


def test_what_memory_cannot_hold_is_refused_and_rows_are_not(both, monkeypatch):
    expected, found = both
    monkeypatch.setattr(arrays.memory, "total", lambda: found.nbytes)  # as a container's limit
    with pytest.raises(UserError, match=r"this process may have .* GiB.*image\.height"):
        whole(found)
    np.testing.assert_array_equal(found[:2], expected[:2])


def test_rows_at_places_are_those_of_the_other_array_in_their_order():
    values = np.random.default_rng(0).integers(0, 256, (9, 4, 3)).astype(np.uint8)
    places = np.array([8, 0, 3, 3, 5])
    for array in (values, ShardedArray(np.split(values, [2, 7]))):
        found = PlacedArray(array, places)
        assert found.shape == (5, 4, 3) and found.dtype == np.uint8
        for index in (
            2,
            slice(1, 4),
            np.array([4, 0]),
            np.array([True, False, True, False, True]),
            (slice(3), 1),
        ):
            np.testing.assert_array_equal(found[index], values[places][index])
        np.testing.assert_array_equal(whole(found), values[places])
