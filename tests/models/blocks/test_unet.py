"""The U-Net: its blocks as diffusers has them, its sizes, and what it is before training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.blocks.unet import CrossAttention, ResidualBlock, SpatialAttention, TimeEmbedding, UNet


def scrambled(module: nn.Module) -> nn.Module:
    """Give every weight a random value, also those that start at zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def unet(**known: object) -> UNet:
    return UNet(2, 3, **({"widths": (8, 16), "depth": 1, "condition": 12, "heads": 2} | known))


def load(theirs: nn.Module, ours: nn.Module) -> None:
    """Give diffusers' attention the weights of ours, whose keys and values are one layer."""
    theirs.group_norm.load_state_dict(ours.norm.state_dict())
    theirs.to_q.load_state_dict(ours.attention.query.state_dict())
    weight, bias = ours.attention.key_value.weight, ours.attention.key_value.bias
    for module, w, b in zip((theirs.to_k, theirs.to_v), weight.chunk(2), bias.chunk(2), strict=True):
        module.load_state_dict({"weight": w, "bias": b})
    theirs.to_out[0].load_state_dict(ours.attention.out.state_dict())


def test_waves_of_time_equal_diffusers():
    from diffusers.models.embeddings import get_timestep_embedding

    times = torch.tensor([0, 1, 37, 999])
    embedding = TimeEmbedding(32)
    embedding.layers = nn.Identity()
    theirs = get_timestep_embedding(times, 16, downscale_freq_shift=0)
    # An angle of 999 has a float32 resolution of 6e-5.
    torch.testing.assert_close(embedding(times), theirs, atol=6e-5, rtol=0)


@pytest.mark.parametrize("width", [16, 24])
def test_a_residual_block_equals_diffusers(width):
    from diffusers.models.resnet import ResnetBlock2D

    ours = scrambled(ResidualBlock(16, width, 12))
    theirs = ResnetBlock2D(
        in_channels=16,
        out_channels=width,
        temb_channels=12,
        groups=ours.norm_in.num_groups,
        groups_out=ours.norm_out.num_groups,
        eps=1e-5,
        time_embedding_norm="scale_shift",
    ).eval()
    pairs = {
        "norm1": "norm_in",
        "conv1": "conv_in",
        "time_emb_proj": "modulation",
        "norm2": "norm_out",
        "conv2": "conv_out",
        "conv_shortcut": "shortcut",
    }
    for name, module in theirs.named_children():
        if name in pairs:
            module.load_state_dict(getattr(ours, pairs[name]).state_dict())
    x, condition = torch.randn(2, 16, 5, 5), torch.randn(2, 12)
    with torch.no_grad():
        expected = theirs(x, condition)
        torch.testing.assert_close(ours(x, nn.functional.silu(condition)), expected, atol=1e-6, rtol=1e-5)


def test_attention_between_places_equals_diffusers():
    from diffusers.models.attention_processor import Attention

    ours = scrambled(SpatialAttention(16, heads=2))
    theirs = Attention(
        16, heads=2, dim_head=8, bias=True, residual_connection=True, norm_num_groups=ours.norm.num_groups
    ).eval()
    load(theirs, ours)
    x = torch.randn(3, 16, 4, 5)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=1e-5)


def test_attention_to_words_equals_diffusers():
    from diffusers.models.attention_processor import Attention

    ours = scrambled(CrossAttention(16, heads=2, memory=10))
    theirs = Attention(
        16,
        cross_attention_dim=10,
        heads=2,
        dim_head=8,
        bias=True,
        residual_connection=True,
        norm_num_groups=ours.norm.num_groups,
    ).eval()
    load(theirs, ours)
    x, words = torch.randn(3, 16, 4, 5), torch.randn(3, 6, 10)
    padding = torch.arange(6) >= torch.tensor([[6], [2], [1]])
    with torch.no_grad():
        expected = theirs(x, encoder_hidden_states=words, attention_mask=-1e9 * padding[:, None].float())
        torch.testing.assert_close(ours(x, words, padding), expected, atol=1e-6, rtol=1e-5)
        maps = ours.map(x, words, padding)
    assert maps.shape == (3, 6, 4, 5)
    torch.testing.assert_close(maps.sum(dim=1), torch.ones(3, 4, 5))
    assert not maps[2, 1:].any()


def test_a_residual_block_without_a_condition_equals_diffusers():
    from diffusers.models.resnet import ResnetBlock2D

    ours = scrambled(ResidualBlock(16, 24, 0))
    theirs = ResnetBlock2D(
        in_channels=16,
        out_channels=24,
        temb_channels=None,
        groups=ours.norm_in.num_groups,
        groups_out=ours.norm_out.num_groups,
        eps=1e-5,
    ).eval()
    pairs = {"norm1": "norm_in", "conv1": "conv_in", "norm2": "norm_out", "conv2": "conv_out"}
    for name, mine in (pairs | {"conv_shortcut": "shortcut"}).items():
        getattr(theirs, name).load_state_dict(getattr(ours, mine).state_dict())
    x = torch.randn(2, 16, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x, None), atol=1e-6, rtol=1e-5)


def test_words_reach_every_place_and_filling_none():
    network = scrambled(unet(memory=6))
    words = torch.randn(2, 3, 6, requires_grad=True)
    padding = torch.tensor([[False, False, True], [False, False, False]])
    network(torch.randn(2, 2, 8, 8), torch.randn(2, 12), words, padding)[0, 0, 0, 0].backward()
    assert words.grad[0, :2].any(dim=1).all()
    assert not words.grad[0, 2].any() and not words.grad[1].any()


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 5), (28, 28)])
@pytest.mark.parametrize("known", [{}, {"patch": 2}, {"depth": 2, "attention": 2}, {"widths": (8, 12, 16)}])
def test_any_size_comes_out_as_it_went_in(size, known):
    network = scrambled(unet(**known))
    x = torch.randn(2, 2, *size)
    assert network(x, torch.randn(2, 12)).shape == (2, 3, *size)
    one_for_all = torch.randn(1, 12)
    torch.testing.assert_close(network(x, one_for_all), network(x, one_for_all.expand(2, -1)))


def test_it_answers_zero_before_training():
    assert not unet()(torch.randn(2, 2, 8, 8), torch.randn(2, 12)).any()


def test_every_weight_takes_part():
    network = scrambled(unet(depth=2, attention=1))
    network(torch.randn(2, 2, 8, 8), torch.randn(2, 12)).square().sum().backward()
    # A key's bias shifts all scores of a query alike: its gradient is rounding.
    still = [name for name, value in network.named_parameters() if not value.grad.any()]
    assert not still


def test_an_image_sees_itself_alone_and_all_of_itself():
    network = scrambled(unet())
    x = torch.randn(2, 2, 8, 8, requires_grad=True)
    network(x, torch.randn(2, 12))[0, :, 0, 0].sum().backward()
    assert not x.grad[1].any()
    assert x.grad[0, :, 7, 7].all()


@pytest.mark.parametrize("width", [1, 6, 36, 128, 130, 512])
def test_the_norm_divides_any_width(width):
    block = ResidualBlock(width, width, 4)
    assert block(torch.randn(1, width, 2, 2), torch.randn(1, 4)).shape == (1, width, 2, 2)
    for norm in (module for module in block.modules() if isinstance(module, torch.nn.GroupNorm)):
        assert width % norm.num_groups == 0
