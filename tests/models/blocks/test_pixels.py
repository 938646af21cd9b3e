"""Levels, units and standardised pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.blocks.pixels import Standardise, level, picture, unit


@given(levels=st.integers(2, 256))
def test_level_undoes_how_prepare_stores_levels(levels):
    k = np.arange(levels)
    stored = np.round(k * 255 / (levels - 1)).astype(np.uint8).reshape(-1, 1, 1, 1)
    assert level(unit(torch.from_numpy(stored)), levels).flatten().tolist() == k.tolist()


def test_unit_keeps_channels_last_memory():
    x_bchw = unit(torch.randint(0, 256, (4, 5, 6, 3), dtype=torch.uint8))
    assert x_bchw.shape == (4, 3, 5, 6)
    assert x_bchw.is_contiguous(memory_format=torch.channels_last)


def test_a_picture_undoes_unit_on_both_sides_of_zero_and_clips():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    assert torch.equal(picture(2 * unit(images) - 1), images)
    assert picture(torch.tensor([-1.5, 1.2]).reshape(1, 2, 1, 1)).flatten().tolist() == [0, 255]


def test_standardised_channels(digits):
    spec = dataclasses.replace(digits.spec, channels=2, mean=(0.5, 0.25), std=(0.5, 0.0))
    x = torch.tensor([1.0, 0.75]).reshape(1, 2, 1, 1)
    assert Standardise(spec)(x).flatten().tolist() == [1.0, 0.5]  # a channel without spread is only shifted
