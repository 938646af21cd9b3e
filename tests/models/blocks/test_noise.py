"""Noise in the graph: known answers, statistics, independence, and the same bits in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from models.blocks import noise

SEEDS = (0, 3, -7, 2**40 + 5, 2**63 - 1)


def tensor(seed: int) -> torch.Tensor:
    return torch.tensor([seed])


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # the known answers that the authors publish with Random123, for philox4x32-10
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_answers(counter, key, expected):
    counter, key = ([int(word, 16) for word in group.split()] for group in (counter, key))
    even, odd = noise.philox(torch.tensor(counter[::2]), torch.tensor(counter[1::2]), torch.tensor(key))
    assert [f"{word:08x}" for word in torch.stack([even, odd], dim=1).flatten().tolist()] == expected.split()


@given(word=st.integers(0, noise.WORD), factor=st.sampled_from(noise.MULTIPLIERS))
def test_products_of_two_words_are_exact(word, factor):
    high, low = noise._multiply(tensor(word), tensor(factor))
    assert int(high) * 2**32 + int(low) == word * factor


@given(
    seed=st.integers(-(2**63), 2**63 - 1),
    count=st.integers(1, 9),
    size=st.integers(1, 11),
    first=st.integers(0, 9),
)
def test_an_image_s_numbers_depend_on_seed_and_place_alone(seed, count, size, first):
    whole = noise.words(tensor(seed), first + count, size)
    assert whole.shape == (first + count, size)
    assert int(whole.min()) >= 0
    assert int(whole.max()) <= noise.WORD
    assert torch.equal(noise.words(tensor(seed), count, size, first=first), whole[first:])
    assert torch.equal(noise.words(tensor(seed), first + count, 11)[:, :size], whole)


@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_is_uniform(seed):
    drawn = noise.uniform(tensor(seed), 500, 400).flatten().numpy()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert stats.kstest(drawn, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("seed", SEEDS)
def test_normal_is_normal(seed):
    drawn = noise.normal(tensor(seed), 1000, 400).flatten().double().numpy()
    assert stats.kstest(drawn, "norm").pvalue > 1e-4
    for power, expected in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        values = drawn**power
        assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(len(values)), power
    assert np.abs(drawn).max() > 4  # it has tails


def test_images_positions_seeds_and_streams_are_independent():
    kinds = {
        "neighbouring images": noise.normal(tensor(1), 20001, 8)[1:],
        "the next seed": noise.normal(tensor(2), 20000, 8),
        "a seed that differs in its high half": noise.normal(tensor(1 + 2**32), 20000, 8),
        "another stream": noise.normal(tensor(1), 20000, 8, stream=1),
    }
    drawn = noise.normal(tensor(1), 20000, 8)
    inside = np.corrcoef(drawn.numpy().T) - np.eye(8)
    assert np.abs(inside).max() < 5 / np.sqrt(20000), "positions"
    for kind, other in kinds.items():
        assert abs(float((drawn * other).mean())) < 5 / np.sqrt(drawn.numel()), kind
        assert not (drawn == other).all(dim=1).any(), kind


class Draw(nn.Module):
    def forward(self, seed: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        num = noise.as_size(count)
        return noise.normal(seed, num, 5), noise.uniform(seed, num, 5, stream=1)


def test_onnx_runtime_draws_the_same_bits(tmp_path):
    example = (tensor(3), tensor(2))
    names = ["seed", "count"]
    torch.onnx.export(
        Draw().eval(), example, tmp_path / "draw.onnx", dynamo=True, input_names=names, verbose=False
    )
    session = onnxruntime.InferenceSession(tmp_path / "draw.onnx", providers=["CPUExecutionProvider"])
    for seed in SEEDS:
        for count in (1, 2, 7):
            ours = Draw()(tensor(seed), tensor(count))
            theirs = session.run(None, {"seed": np.array([seed]), "count": np.array([count])})
            for expected, actual in zip(ours, theirs, strict=True):
                assert expected.numpy().tobytes() == actual.tobytes()
