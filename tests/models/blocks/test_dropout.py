"""Dropout against its definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.blocks.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_as_many_are_zeroed_as_asked_and_the_mean_stays(p):
    torch.manual_seed(0)
    y = Dropout(p)(torch.ones(1_000_000))
    kept = y != 0
    assert float(kept.float().mean()) == pytest.approx(1 - p, abs=3e-3)
    assert float(y.mean()) == pytest.approx(1, abs=1e-2)
    assert len(y.unique()) == 2


def test_numbers_are_dropped_independently():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(4, 250_000)) != 0).double()
    # Neighbours share a draw of the generator: lanes of it must not go together.
    for lag in range(1, 9):
        both = kept[:, lag:] * kept[:, :-lag]
        assert float(both.mean()) == pytest.approx(0.25, abs=3e-3)


@given(shape=st.lists(st.integers(0, 5), max_size=4), p=st.floats(0, 0.99))
def test_shape_and_gradient_are_those_of_the_mask(shape, p):
    x = torch.ones(shape, requires_grad=True)
    y = Dropout(p)(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert torch.equal(x.grad, y.detach())


def test_nothing_is_dropped_when_not_training_or_not_asked():
    x = torch.randn(7)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_the_generator_decides():
    torch.manual_seed(3)
    once = Dropout(0.5)(torch.ones(101))
    torch.manual_seed(3)
    assert torch.equal(Dropout(0.5)(torch.ones(101)), once)
