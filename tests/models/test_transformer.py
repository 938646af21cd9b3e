"""The transformer against PyTorch's with the same weights, and writing with kept keys and values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from data.errors import UserError
from models import transformer
from models.blocks import transcribe
from models.blocks.pixels import unit
from models.settings import configure
from models.transformer.network import waves

SMALL = {"width": 16, "heads": 4, "hidden": 24, "channels": (4, 8), "stride": 2}


def build(digit_lines, **settings: object) -> transformer.Transformer:
    torch.manual_seed(0)
    config = configure(transformer.Config, "quick", SMALL | settings, "tests")
    model = transformer.build(config, digit_lines.spec).eval()
    with torch.no_grad():  # norms that do something, and attention that prefers some places
        for name, parameter in model.named_parameters():
            if "norm" in name or parameter.ndim > 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def in_projection(attention, theirs: nn.MultiheadAttention) -> None:
    theirs.in_proj_weight.copy_(torch.cat([attention.query.weight, attention.key_value.weight]))
    theirs.in_proj_bias.copy_(torch.cat([attention.query.bias, attention.key_value.bias]))
    theirs.out_proj.load_state_dict(attention.out.state_dict())


def _feed_forward(ours: nn.Module, layer: nn.Module) -> None:
    layer.linear1.load_state_dict(ours.feed_forward[0].state_dict())
    layer.linear2.load_state_dict(ours.feed_forward[3].state_dict())


def pytorchs(model: transformer.Transformer) -> nn.Transformer:
    """Return ``torch.nn.Transformer`` with the weights of ``model``."""
    config = model.config
    theirs = nn.Transformer(
        config.width, config.heads, config.encoders, config.decoders, config.hidden,
        activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=config.norm_first,
    ).eval()  # fmt: skip
    with torch.no_grad():
        for ours, layer in zip(model.encoder.layers, theirs.encoder.layers, strict=True):
            in_projection(ours.attention, layer.self_attn)
            _feed_forward(ours, layer)
            layer.norm1.load_state_dict(ours.norm_attention.state_dict())
            layer.norm2.load_state_dict(ours.norm_feed_forward.state_dict())
        for ours, layer in zip(model.decoders, theirs.decoder.layers, strict=True):
            in_projection(ours.attention, layer.self_attn)
            in_projection(ours.cross_attention, layer.multihead_attn)
            _feed_forward(ours, layer)
            layer.norm1.load_state_dict(ours.norm_attention.state_dict())
            layer.norm2.load_state_dict(ours.norm_cross_attention.state_dict())
            layer.norm3.load_state_dict(ours.norm_feed_forward.state_dict())
        theirs.encoder.norm.load_state_dict(model.encoder.norm.state_dict())
        theirs.decoder.norm.load_state_dict(model.norm.state_dict())
    return theirs


@pytest.mark.parametrize("norm_first", [False, True])
def test_equals_pytorchs_with_the_same_weights(digit_lines, norm_first):
    model = build(digit_lines, norm_first=norm_first)
    theirs = pytorchs(model)
    x, texts = (
        unit(torch.from_numpy(digit_lines.test.images[:5])),
        torch.from_numpy(digit_lines.test.texts[:5]),
    )
    read = model.columns(x) + model.places[: model.columns.length]
    written = model.symbols(transcribe.given(texts, model.end), model.places[: model.longest])
    mask = nn.Transformer.generate_square_subsequent_mask(model.longest)
    with torch.no_grad():
        expected = model.output(theirs(read, written, tgt_mask=mask, tgt_is_causal=True))
        torch.testing.assert_close(model(x, texts), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm_first", [False, True])
def test_symbol_by_symbol_with_kept_keys_equals_all_at_once(digit_lines, norm_first):
    model = build(digit_lines, norm_first=norm_first)
    x, texts = (
        unit(torch.from_numpy(digit_lines.test.images[:5])),
        torch.from_numpy(digit_lines.test.texts[:5]),
    )
    cache = tuple(torch.zeros(5, model.longest, 16) for _ in range(4))
    with torch.no_grad():
        memories, logits = model.read(x), []
        for place, symbols in enumerate(transcribe.given(texts, model.end).unbind(dim=1)):
            found, cache = model.step(torch.tensor(place), symbols, cache, memories)
            logits.append(found)
        torch.testing.assert_close(torch.stack(logits, dim=1), model(x, texts), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_written_has_the_probability_that_forward_gives_it(digit_lines, beams):
    model = build(digit_lines)
    x = unit(torch.from_numpy(digit_lines.test.images[:9]))
    with torch.no_grad():
        texts, confidence = model.write(x, beams)
        nats = [transcribe.cross_entropy(model(x[i : i + 1], texts[i : i + 1]), texts[i : i + 1], reduction="sum")
                for i in range(9)]  # fmt: skip
    torch.testing.assert_close(confidence.log(), -torch.stack(nats), rtol=1e-4, atol=1e-4)


def test_a_wider_beam_finds_no_less_likely_texts(digit_lines):
    model = build(digit_lines)
    x = unit(torch.from_numpy(digit_lines.test.images))
    with torch.no_grad():
        greedy, beam = (model.write(x, beams)[1] for beams in (1, 6))
    assert beam.mean() > greedy.mean()


def test_no_symbol_sees_what_comes_after_it(digit_lines):
    model = build(digit_lines)
    x = unit(torch.from_numpy(digit_lines.test.images[:1]))
    one, other = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[1, 2, 7, 7]])
    with torch.no_grad():
        torch.testing.assert_close(model(x, one)[:, :3], model(x, other)[:, :3])
        assert not torch.allclose(model(x, one)[:, 3], model(x, other)[:, 3])


def test_places_are_the_paper_s_waves():
    table = waves(7, 6)
    for place, i in ((0, 0), (3, 1), (6, 2)):
        angle = place / 100 ** (2 * i / 6)
        assert table[place, 2 * i : 2 * i + 2].tolist() == pytest.approx(
            [np.sin(angle), np.cos(angle)], abs=1e-6
        )


def test_attention_has_a_map_for_each_symbol(digit_lines):
    looked = transformer.attention(build(digit_lines), digit_lines.test.images[:3])
    assert looked.shape == (3, 4, 44) and looked.dtype == np.float32
    np.testing.assert_allclose(looked.max(axis=2), 1)
    assert (looked[:, :, ::2] == looked[:, :, 1::2]).all()


def test_heads_that_do_not_divide_are_named():
    with pytest.raises(UserError, match=r"overrides.*heads: 7 do not divide the width of 16"):
        configure(transformer.Config, "quick", {"heads": 7, "width": 16}, "params.yaml: models.m.overrides")
