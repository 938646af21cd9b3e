"""Calibration against a count by hand and against what is calibrated by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.metrics.calibration import BINS, calibration_error, reliability


def test_bins_by_hand():
    confidence = np.array([0.95, 0.99, 1.0, 0.35, 0.4, 0.01])
    right = np.array([1, 0, 1, 0, 0, 1])
    found = reliability(confidence, right)
    assert found.examples.tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.confidence, [0.01, 0.375, 2.94 / 3])
    np.testing.assert_allclose(found.accuracy, [1, 0, 2 / 3])
    expected = (1 * 0.99 + 2 * 0.375 + 3 * abs(2.94 / 3 - 2 / 3)) / 6
    assert calibration_error(confidence, right).value == pytest.approx(expected)


def test_what_is_calibrated_has_next_to_no_error_and_what_boasts_has_its_boast():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.2, 1, 20_000)
    right = random.random(20_000) < confidence
    assert calibration_error(confidence, right).value < 0.015
    boasting = np.minimum(confidence + 0.1, 1)
    error = calibration_error(boasting, random.random(20_000) < boasting - 0.1)
    assert error.low < 0.1 < error.high
    assert error.high - error.low < 0.03


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_every_example_is_in_one_bin_and_the_error_within_its_interval(examples):
    confidence, right = (np.array(column, dtype=float) for column in zip(*examples, strict=True))
    found = reliability(confidence, right)
    assert found.examples.sum() == len(examples) and len(found.examples) <= BINS
    error = calibration_error(confidence, right)
    assert 0 <= error.low <= error.value <= error.high


def test_probabilities_in_float32_that_exceed_one_by_rounding():
    assert calibration_error(np.array([np.float32(1.0000001)]), np.array([1])).value < 1e-6
