"""Precision and recall against brute force and known cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.metrics.manifold import precision_recall


def brute(generated: np.ndarray, real: np.ndarray) -> tuple[float, float]:
    """Section 2 of the paper, word by word."""

    def among(asked: np.ndarray, fellows: np.ndarray) -> float:
        inside = 0
        for x in asked:
            for f in fellows:
                reach = sorted(np.linalg.norm(f - other) for other in fellows)[min(3, len(fellows) - 1)]
                if np.linalg.norm(x - f) <= reach:
                    inside += 1
                    break
        return inside / len(asked)

    return among(generated, real), among(real, generated)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), size=st.integers(2, 15), shift=st.floats(0, 3))
def test_equals_brute_force(seed, size, shift):
    random = np.random.default_rng(seed)
    generated, real = random.normal(shift, 1, (size, 3)), random.normal(0, 1, (size, 3))
    precision, recall = precision_recall(generated, real)
    assert (precision.value, recall.value) == pytest.approx(brute(generated, real))


def test_a_part_of_the_real_ones_is_precise_and_recalls_a_part():
    random = np.random.default_rng(0)
    real = np.concatenate([random.normal(0, 1, (100, 4)), random.normal(50, 1, (100, 4))])[
        random.permutation(200)
    ]
    half = random.normal(0, 1, (200, 4))
    precision, recall = precision_recall(half, real)
    assert precision.value > 0.8 and recall.value == pytest.approx(0.5, abs=0.06)
    far = precision_recall(half + 500, real)
    assert far[0].value == far[1].value == 0 and far[0].high > 0


def test_the_larger_set_is_cut():
    random = np.random.default_rng(0)
    generated, real = random.normal(size=(40, 3)), random.normal(size=(70, 3))
    assert precision_recall(generated, real) == precision_recall(generated, real[:40])
