"""Filling in: the errors by hand, and that no metric is made up where nothing was filled in."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from components.evaluation import inpainting


@pytest.fixture
def data() -> SimpleNamespace:
    """Training images black below black or white below white; test images that are nearly so."""
    train = np.zeros((4, 4, 2, 1), dtype=np.uint8)
    train[2:] = 255
    test = np.array([10, 245], dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 2, 1), dtype=np.uint8)
    return SimpleNamespace(train=SimpleNamespace(images=train), test=SimpleNamespace(images=test))


def test_the_lower_half_is_hidden(data):
    missing = inpainting.hidden(data.test.images)
    assert missing[:, 2:].all() and not missing[:, :2].any()


def test_errors_by_hand(data):
    filled = data.test.images.copy()
    filled[0, 2:] += 51
    measured = inpainting.metrics(filled, data)
    expected = {
        "filling_error": np.sqrt(0.2**2 / 2),
        "filling_error_mean_image": 117.5 / 255,
        "filling_error_nearest": 10 / 255,
    }
    assert {name: metric.value for name, metric in measured.items()} == pytest.approx(expected)
    for metric in measured.values():
        assert metric.better == "lower" and metric.low <= metric.value <= metric.high


def test_what_is_seen_does_not_count(data):
    spoilt = data.test.images.copy()
    spoilt[:, :2] = 7
    assert inpainting.metrics(spoilt, data)["filling_error"].value == 0
