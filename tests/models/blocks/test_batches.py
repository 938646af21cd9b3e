"""Streamed batches are the resident ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.blocks.batches import Batches
from tests import needs

CPU = torch.device("cpu")


@given(data=st.data())
def test_streamed_and_resident_give_the_same_batches(digits, data):
    size = data.draw(st.integers(1, 100))
    order = torch.tensor(data.draw(st.lists(st.integers(0, len(digits.train) - 1), min_size=1, max_size=300)))
    resident, streamed = Batches(digits.train, CPU), Batches(digits.train, CPU, limit=0)
    assert resident.resident
    assert not streamed.resident
    pairs = list(zip(resident.read(order, size), streamed.read(order, size), strict=True))
    assert len(pairs) == -(-len(order) // size)
    for ours, theirs in pairs:
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])
    assert torch.equal(
        torch.cat([labels for (_, labels), _ in pairs]), torch.from_numpy(digits.train.labels)[order]
    )


@pytest.mark.gpu
def test_a_gpu_gets_the_same_batches(digits):
    needs.gpu(wanted=True)
    cuda, order = torch.device("cuda"), torch.arange(100)
    for limit in (None, 0):
        batches = Batches(digits.train, cuda, limit=limit).read(order, 32)
        for (images, labels), (expected, _) in zip(
            batches, Batches(digits.train, CPU).read(order, 32), strict=True
        ):
            assert images.device.type == labels.device.type == "cuda"
            assert torch.equal(images.cpu(), expected)
