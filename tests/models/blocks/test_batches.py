"""Streamed batches are the resident ones."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.arrays import ShardedArray
from models.blocks import batches
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


@pytest.mark.parametrize("limit", [None, 0])
def test_pictures_in_several_files_give_the_same_batches(digits, limit):
    parts = replace(digits.train, images=ShardedArray(np.split(digits.train.images, [7, 90])))
    order = batches.order(len(digits.train), seed=3, epoch=1)
    pairs = zip(
        Batches(parts, CPU, limit).read(order, 32), Batches(digits.train, CPU).read(order, 32), strict=True
    )
    for ours, theirs in pairs:
        assert all(map(torch.equal, ours, theirs))


def test_few_pictures_of_several_files_are_held_and_many_are_read_by_batches(digits, monkeypatch):
    parts = replace(digits.train, images=ShardedArray(np.split(digits.train.images, [7])))
    assert Batches(parts, CPU).resident
    monkeypatch.setattr(batches, "HELD", parts.images.nbytes)
    assert not Batches(parts, CPU).resident


def test_an_epoch_that_is_left_reads_no_further(digits):
    parts = replace(digits.train, images=ShardedArray(np.split(digits.train.images, [7])))
    given = Batches(parts, CPU, limit=0).read(torch.arange(len(parts)), 1)
    next(given)
    given.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


@pytest.mark.gpu
def test_a_gpu_gets_the_same_batches(digits):
    needs.gpu(wanted=True)
    cuda, order = torch.device("cuda"), torch.arange(100)
    for limit in (None, 0):
        given = Batches(digits.train, cuda, limit=limit).read(order, 32)
        for (images, labels), (expected, _) in zip(
            given, Batches(digits.train, CPU).read(order, 32), strict=True
        ):
            assert images.device.type == labels.device.type == "cuda"
            assert torch.equal(images.cpu(), expected)
