"""Logistic regression against scikit-learn: the same convex problem has the same optimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from models.logreg.solver import Solver


def _solve(x: np.ndarray, y: np.ndarray, penalty: float, bursts: int = 25) -> tuple[np.ndarray, np.ndarray]:
    solver = Solver(torch.as_tensor(x), torch.as_tensor(y), int(y.max()) + 1, penalty)
    for _ in range(bursts):
        solver.step()
    weight, bias = solver.solution()
    return weight.numpy(), bias.numpy()


@pytest.mark.parametrize("penalty", [0.3, 3.0, 30.0])
def test_same_optimum_as_scikit_learn(digits, penalty):
    x = digits.train.images.reshape(len(digits.train), -1) / 255
    y = digits.train.labels
    weight, bias = _solve(x, y, penalty)
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=5000).fit(x, y)
    np.testing.assert_allclose(weight, theirs.coef_, atol=1e-3)
    # The bias is free up to one constant for all classes.
    np.testing.assert_allclose(bias - bias.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-3)
    held_out = digits.test.images.reshape(len(digits.test), -1) / 255
    ours = torch.as_tensor(held_out @ weight.T + bias).softmax(dim=1)
    np.testing.assert_allclose(ours, theirs.predict_proba(held_out), atol=1e-3)


@settings(deadline=None, max_examples=15)
@given(shift=st.floats(-5, 5), seed=st.integers(0, 1000))
def test_a_shift_of_all_pixels_moves_only_the_bias(shift, seed):
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(60, 4)), np.arange(60) % 3
    weight, bias = _solve(x, y, 1.0)
    moved_weight, moved_bias = _solve(x + shift, y, 1.0)
    np.testing.assert_allclose(moved_weight, weight, atol=1e-5)
    np.testing.assert_allclose((x + shift) @ moved_weight.T + moved_bias, x @ weight.T + bias, atol=1e-4)


def test_resumed_half_way_gives_the_same_bits():
    random = np.random.default_rng(0)
    x, y = torch.as_tensor(random.normal(size=(200, 8))), torch.arange(200) % 4
    whole = Solver(x, y, 4, 1.0)
    whole.step()
    state = whole.state_dict()
    half = Solver(x, y, 4, 1.0)
    half.load_state_dict(state)
    whole.step()
    half.step()
    for ours, theirs in zip(half.solution(), whole.solution(), strict=True):
        assert torch.equal(ours, theirs)
