"""What is given and wanted at each place of a text, and the loss on it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.blocks import transcribe
from models.blocks.columns import Columns, over_pixels
from models.blocks.transcribe import IGNORED

TEXTS = torch.tensor([[0, 1, 2], [1, -1, -1], [2, 0, -1]])
END = 3


def test_each_symbol_is_given_to_the_next_and_the_end_comes_once():
    assert transcribe.given(TEXTS, END).tolist() == [[3, 0, 1], [3, 1, 3], [3, 2, 0]]
    assert transcribe.wanted(TEXTS, END).tolist() == [[0, 1, 2], [1, 3, IGNORED], [2, 0, 3]]


def test_what_is_read_backwards_begins_with_its_last_symbol():
    assert transcribe.backwards(TEXTS).tolist() == [[2, 1, 0], [1, -1, -1], [0, 2, -1]]


def test_a_mirrored_image_has_its_text_mirrored():
    """Images whose columns of pixels are their symbols: what is changed still says what its text says."""
    texts = torch.cat([TEXTS] * 20)
    x = texts[:, None, None].float().expand(-1, 1, 2, -1)
    generator = torch.Generator().manual_seed(0)
    changed, said = transcribe.Transcribing(flip=True).change_line(x, texts, generator)
    pixels = changed[:, 0, 0].long()
    packed = torch.stack([torch.cat([row[row >= 0], row[row < 0]]) for row in pixels])
    assert torch.equal(packed, said)
    mirrored = (pixels != texts).any(dim=1)
    assert 0.3 < mirrored[texts[:, 1] >= 0].float().mean() < 0.7
    kept, same = transcribe.Transcribing().change_line(x, texts, generator)
    assert torch.equal(kept, x) and torch.equal(same, texts)


def test_the_loss_is_the_mean_over_symbols_and_ends():
    logits = torch.randn(3, 3, 4, generator=torch.Generator().manual_seed(0))
    chances = logits.log_softmax(dim=-1)
    wanted = [(0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 1), (1, 1, 3), (2, 0, 2), (2, 1, 0), (2, 2, 3)]
    nats = -torch.stack([chances[place] for place in wanted])
    assert transcribe.cross_entropy(logits, TEXTS) == pytest.approx(float(nats.mean()), rel=1e-5)
    total = transcribe.cross_entropy(logits, TEXTS, reduction="sum")
    assert total == pytest.approx(float(nats.sum()), rel=1e-5)


def test_columns_stand_for_two_columns_of_pixels_each(digit_lines):
    torch.manual_seed(0)
    columns = Columns(digit_lines.spec, (4, 8, 8), 2, 6).eval()
    x = torch.rand(2, 1, 10, 44, requires_grad=True)
    found = columns(x)
    assert found.shape == (2, columns.length, 6) == (2, 22, 6)
    (gradient,) = torch.autograd.grad(found[0, 10].sum(), x)
    reached = gradient[0, 0].abs().sum(dim=0).nonzero().flatten()
    assert 20 in reached and 21 in reached and reached.min() >= 15 and reached.max() <= 26


def test_more_convolutions_see_more_and_keep_the_size(digit_lines):
    one, three = (Columns(digit_lines.spec, (4, 8, 8), 4, 6, number) for number in (1, 3))
    x = torch.rand(2, 1, 10, 44)
    assert one(x).shape == three(x).shape == (2, 11, 6)
    kernels = [layer for layer in three.look if isinstance(layer, nn.Conv2d)]
    assert [layer.stride for layer in kernels] == [
        *[(1, 1)] * 3,
        *[(2, 2), (1, 1), (1, 1)] * 2,
    ]


def test_weights_lie_on_the_pixels_of_their_columns():
    weights = torch.zeros(1, 2, 3)
    weights[0, 0, 1], weights[0, 1] = 0.5, torch.tensor([0.2, 0.4, 0.4])
    spread = over_pixels(weights, 2, 5)
    assert spread.tolist() == [[[0, 0, 1, 1, 0], [0.5, 0.5, 1, 1, 1]]]
