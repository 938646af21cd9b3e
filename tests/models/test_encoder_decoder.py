"""The recurrent encoder and decoder: attention by its formulas, teacher forcing, and what a beam keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models import encoder_decoder
from models.blocks import transcribe
from models.blocks.pixels import unit
from models.encoder_decoder.attention import Additive, Dot
from models.settings import configure

KINDS = ("additive", "dot", "none")


def build(digit_lines, **settings: object) -> encoder_decoder.EncoderDecoder:
    torch.manual_seed(0)
    config = configure(
        encoder_decoder.Config, "quick", {"width": 12, "channels": (4, 8), "stride": 2} | settings, "tests"
    )
    model = encoder_decoder.build(config, digit_lines.spec).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)  # answers that are not all alike
    return model


def some(digit_lines, num: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    return unit(torch.from_numpy(digit_lines.test.images[:num])), torch.from_numpy(
        digit_lines.test.texts[:num]
    )


def test_additive_attention_is_its_formula():
    torch.manual_seed(0)
    score, state, memory = Additive(4, 6), torch.randn(2, 1, 4), torch.randn(2, 5, 6)
    weights = score(state, score.keys(memory))
    w, u, b, v = score.query.weight, score.key.weight, score.key.bias, score.score.weight[0]
    for n in range(2):
        fits = torch.stack([v @ torch.tanh(w @ state[n, 0] + u @ h + b) for h in memory[n]])
        torch.testing.assert_close(weights[n, 0], fits.softmax(dim=0))


def test_dot_attention_is_its_formula():
    torch.manual_seed(0)
    score, state, memory = Dot(4, 6), torch.randn(2, 3, 4), torch.randn(2, 5, 6)
    weights = score(state, score.keys(memory))
    fits = torch.einsum("nbd,de,nte->nbt", state, score.key.weight, memory) / 2
    torch.testing.assert_close(weights, fits.softmax(dim=-1))


@pytest.mark.parametrize("attention", KINDS)
def test_a_step_is_its_formula(digit_lines, attention):
    model = build(digit_lines, attention=attention)
    x, texts = some(digit_lines)
    with torch.no_grad():
        memory, state = model.read(x)
        assert memory.shape == (5, 22, 24) and state.shape == (5, 12)
        logits = model(x, texts)
        for place, symbols in enumerate(transcribe.given(texts, model.end).unbind(dim=1)):
            parts, seen = [model.embed(symbols)], []
            if attention != "none":
                weights = model.attention(state[:, None], model.attention.keys(memory))[:, 0]
                seen = [(weights[:, :, None] * memory).sum(dim=1)]
            state = model.cell(torch.cat(parts + seen, dim=1), state)
            expected = model.output(torch.cat([state, *seen], dim=1))
            torch.testing.assert_close(logits[:, place], expected, rtol=1e-4, atol=1e-5)


def test_without_attention_nothing_is_known_but_one_vector(digit_lines):
    """Columns that leave the first state as it is change nothing."""
    model = build(digit_lines, attention="none")
    assert not any("attention" in name for name, _ in model.named_parameters())
    assert encoder_decoder.attention(model, digit_lines.test.images[:2]) is None
    state, memory = torch.randn(2, 12), torch.randn(2, 22, 24)
    with torch.no_grad():
        one, other = (model.step(torch.tensor([1, 2]), state, m, None)[0] for m in (memory, memory + 1))
    assert torch.equal(one, other)


@pytest.mark.parametrize("attention", KINDS)
@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_written_has_the_probability_that_forward_gives_it(digit_lines, attention, beams):
    model = build(digit_lines, attention=attention)
    x, _ = some(digit_lines, 40)
    with torch.no_grad():
        texts, confidence = model.write(x, beams)
        logits = model(x, texts)
        nats = [
            transcribe.cross_entropy(logits[i : i + 1], texts[i : i + 1], reduction="sum") for i in range(40)
        ]
    torch.testing.assert_close(confidence.log(), -torch.stack(nats), rtol=1e-4, atol=1e-4)
    assert len(texts.unique(dim=0)) > 1


def test_forced_or_not(digit_lines):
    model = build(digit_lines)
    x, texts = some(digit_lines, 40)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        forced, own = model(x, texts, 1.0), model(x, texts, 0.0, generator)
        # With its own symbols alone it writes what greedy search writes, as long as nothing has ended.
        written, _ = model.write(x, 1)
        found = own.argmax(dim=-1)
    going = written != -1
    assert going.sum() > 5
    assert torch.equal(found[going], written[going])
    torch.testing.assert_close(own[:, 0], forced[:, 0])
    assert not torch.allclose(own[:, 1:], forced[:, 1:])


def test_half_of_the_symbols_are_forced(digit_lines):
    model = build(digit_lines)
    x, texts = (part.repeat_interleave(200, dim=0) for part in some(digit_lines, 1))
    with torch.no_grad():
        half = model(x, texts, 0.5, torch.Generator().manual_seed(0))
        ends = [model(x[:1], texts[:1], share, torch.Generator())[0, 1] for share in (0.0, 1.0)]
    near = [(half[:, 1] - end).abs().amax(dim=1) < 1e-4 for end in ends]
    assert (near[0] | near[1]).all()
    assert 70 < near[0].sum() < 130


def test_attention_has_a_map_for_each_symbol(digit_lines):
    looked = encoder_decoder.attention(build(digit_lines), digit_lines.test.images[:3])
    assert looked.shape == (3, 4, 44) and looked.dtype == np.float32
    np.testing.assert_allclose(looked.max(axis=2), 1)
