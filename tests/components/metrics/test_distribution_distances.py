"""Fréchet and kernel distance against independent formulas and known cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from components.metrics import distribution_distances as distances


def drawn(seed: int, size: int, dim: int = 6, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, scale, (size, dim))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), dim=st.integers(1, 8), shift=st.floats(-2, 2), scale=st.floats(0.1, 3))
def test_frechet_equals_scipy_s_matrix_root(seed, dim, shift, scale):
    a, b = drawn(seed, 40, dim), drawn(seed + 1, 60, dim, shift, scale) @ drawn(seed + 2, dim, dim)
    of_a, of_b = (np.cov(x, rowvar=False).reshape(dim, dim) for x in (a, b))
    apart = a.mean(axis=0) - b.mean(axis=0)
    expected = apart @ apart + np.trace(of_a + of_b - 2 * linalg.sqrtm(of_a @ of_b).real)
    assert distances.frechet(a, b).value == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_frechet_of_known_normal_distributions():
    """|3|^2 in each of 4 dimensions, and (2 - 1)^2 for the standard deviations, but for what is drawn."""
    interval = distances.frechet(drawn(0, 20_000, 4), drawn(1, 20_000, 4, shift=3, scale=2))
    assert interval.value == pytest.approx(4 * 9 + 4 * 1, rel=0.02)


def test_frechet_s_interval_is_as_wide_as_values_scatter():
    real = drawn(0, 2000)
    intervals = [distances.frechet(drawn(seed, 500, shift=0.3), real) for seed in range(1, 41)]
    values = np.array([interval.value for interval in intervals])
    reach = np.mean([interval.high - interval.value for interval in intervals]) / 1.96
    # The samples scatter, the real ones are the same here: the interval has to allow for both.
    assert 0.8 * values.std() < reach < 2.0 * values.std()
    assert all(interval.low <= interval.value <= interval.high for interval in intervals)


def test_frechet_of_a_set_with_itself_and_of_a_single_direction():
    a = drawn(0, 50)
    assert distances.frechet(a, a).value == pytest.approx(0, abs=1e-9)
    flat = np.zeros((50, 6))
    flat[:, 0] = a[:, 0]
    assert np.isfinite(distances.frechet(flat, a).value)


def test_kernel_is_the_unbiased_estimate():
    x, y = drawn(0, 9), drawn(1, 7, shift=0.5)

    def cubic(a, b):
        return (a @ b / len(a) + 1) ** 3

    def pairs(z):
        return np.mean([cubic(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j])

    expected = pairs(x) + pairs(y) - 2 * np.mean([cubic(a, b) for a in x for b in y])
    assert distances.kernel(x, y).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("measure", [distances.kernel, distances.frechet])
def test_both_grow_with_the_fault_and_see_a_collapse(measure):
    real = drawn(0, 400)
    found = [measure(drawn(1, 400, shift=shift), real) for shift in (0.0, 0.4, 1.0)]
    assert found[0].value < found[1].value < found[2].value
    assert found[1].low > found[0].value
    collapsed = measure(np.repeat(drawn(1, 1), 400, axis=0), real)
    assert collapsed.value > found[1].value


def test_kernel_is_about_zero_for_the_same_distribution():
    found = distances.kernel(drawn(0, 400), drawn(1, 400))
    assert found.low < 0 < found.high


def test_drawn_again_no_item_meets_itself():
    matrix = np.array([[9.0, 1, 2], [1, 9, 4], [2, 4, 9]])
    # Items 0, 0, 2: the pairs of different items are 0-2, twice each way.
    one = np.zeros(3, dtype=int)
    assert distances._mean_pair(matrix, np.array([[2.0, 0, 1]]), one)[0] == pytest.approx(2.0)
    # Of two strata: pairs 0-0 and 2-2 stand for themselves where there is no other.
    expected = (4 * 9 + 4 * 2 + 9) / 9
    assert distances._mean_pair(matrix, np.array([[2.0, 0, 1]]), np.array([0, 0, 1]))[0] == pytest.approx(
        expected
    )


def test_kernel_is_unbiased_for_classes_in_turn_too():
    """As many of each class, as when classes are asked for in turn: without strata it falls below the truth."""

    def balanced(seed: int, size: int) -> np.ndarray:
        return drawn(seed, size, 4) + 4 * np.eye(4)[np.arange(size) % 4]

    def error(**strata: np.ndarray) -> tuple[float, float]:
        found = [distances.kernel(balanced(k, 24), balanced(99 + k, 24), **strata).value for k in range(60)]
        return np.mean(found), np.std(found) / np.sqrt(len(found))

    turn = np.arange(24) % 4
    plain, scatter = error()
    assert plain < -10 * scatter
    corrected, scatter = error(generated_strata=turn, real_strata=turn)
    assert abs(corrected) < 3 * scatter
    held = [distances.kernel(balanced(k, 24), balanced(99 + k, 24), turn, turn) for k in range(40)]
    assert all(interval.low <= interval.value <= interval.high for interval in held)
    assert np.mean([interval.low < 0 < interval.high for interval in held]) > 0.8
