"""Steps are counted alike by all loops, and a training that goes on sees the batches that were still to come."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.blocks.batches import Batches
from models.blocks.steps import Steps
from models.run import Run


def _steps(num: int, epochs: int, least: int, size: int) -> tuple[Steps, Batches]:
    recipe = SimpleNamespace(epochs=epochs, least_steps=least, batch_size=size)
    numbers = np.arange(num)
    split = SimpleNamespace(images=numbers, labels=numbers, __len__=lambda: num)
    return Steps(recipe, Run("test", seed=3), num), Batches(split, torch.device("cpu"), tensors=("images",))


def _take(steps: Steps, split: Batches, most: int) -> list[list[int]]:
    taken = []
    for (batch,) in steps.batches(split):
        taken.append(batch.tolist())
        steps.done += 1
        if len(taken) == most:
            break
    return taken


@given(
    num=st.integers(1, 12),
    epochs=st.integers(1, 3),
    least=st.integers(1, 9),
    size=st.integers(1, 15),
    pause=st.integers(1, 40),
)
def test_a_pause_changes_nothing(num, epochs, least, size, pause):
    steps, split = _steps(num, epochs, least, size)
    whole = _take(steps, split, 10**6)
    assert steps.finished and len(whole) == steps.total == max(epochs * (num // min(size, num)), least)
    assert {len(batch) for batch in whole} == {steps.size}
    first, split = _steps(num, epochs, least, size)
    begun = _take(first, split, pause)
    resumed, split = _steps(num, epochs, least, size)
    resumed.done = first.done
    assert begun + _take(resumed, split, 10**6) == whole


def test_an_epoch_shows_every_example_once_each_in_another_order():
    steps, split = _steps(12, 2, 1, 4)
    batches = _take(steps, split, 10**6)
    first, second = np.concatenate(batches[:3]).tolist(), np.concatenate(batches[3:]).tolist()
    assert sorted(first) == sorted(second) == list(range(12)) and first != second


def test_an_epoch_ends_with_its_last_batch_and_the_last_one_with_the_training():
    steps, _ = _steps(12, 1, 4, 4)
    ends = []
    for steps.done in range(1, 5):
        ends.append(steps.at_epoch_end)
    assert ends == [False, False, True, True] and steps.share == pytest.approx(1)
