"""Classes of unequal size: the weights are the known ones, and an epoch shows each class equally often."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from models.blocks import imbalance

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=60).map(np.array)


@given(labels=LABELS)
def test_weights_are_those_that_scikit_learn_calls_balanced(labels):
    known = np.unique(labels)
    found = imbalance.weights(labels)
    expected = compute_class_weight("balanced", classes=known, y=labels)
    np.testing.assert_allclose(found[known], expected, rtol=1e-6)
    assert float(found[labels].mean()) == pytest.approx(1)
    assert not found[~np.isin(np.arange(len(found)), known)].any()


@given(labels=LABELS, seed=st.integers(0, 3), epoch=st.integers(0, 3))
def test_an_epoch_shows_each_class_and_within_it_each_example_equally_often(labels, seed, epoch):
    shown = imbalance.order(labels, seed, epoch).numpy()
    assert len(shown) == len(labels)
    times = np.bincount(shown, minlength=len(labels))
    for members in (labels == label for label in np.unique(labels)):
        assert abs(times[members].sum() - len(labels) / len(np.unique(labels))) < 1
        assert times[members].max() - times[members].min() <= 1


def test_seed_and_epoch_choose_the_order_and_nothing_else_does():
    labels = np.repeat([0, 1, 2], [30, 10, 2])
    torch.manual_seed(5)
    once = imbalance.order(labels, 1, 2)
    torch.manual_seed(6)
    assert torch.equal(imbalance.order(labels, 1, 2), once)
    assert not torch.equal(imbalance.order(labels, 1, 3), once)
    assert not torch.equal(imbalance.order(labels, 2, 2), once)
