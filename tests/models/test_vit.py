"""The vision transformer against torchvision's, its patches, and where it looks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from data.errors import UserError
from models import vit
from models.settings import configure


def test_equals_torchvisions_with_the_same_weights(digits):
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    config = vit.Config(grid=4, width=16, depth=3, heads=4, hidden=24)
    ours = vit.build(config, digits.spec).eval()
    theirs = VisionTransformer(
        image_size=8, patch_size=2, num_layers=3, num_heads=4, hidden_dim=16, mlp_dim=24, num_classes=10
    ).eval()
    theirs.conv_proj = torch.nn.Conv2d(1, 16, 2, 2)
    with torch.no_grad():
        ours.class_token.normal_()
        theirs.conv_proj.load_state_dict(ours.embed.state_dict())
        theirs.class_token.copy_(ours.class_token)
        theirs.encoder.pos_embedding.copy_(ours.positions)
        theirs.encoder.ln.load_state_dict(ours.encoder.norm.state_dict())
        theirs.heads.head.load_state_dict(ours.classify.state_dict())
        for mine, layer in zip(ours.encoder.layers, theirs.encoder.layers, strict=True):
            attention = mine.attention
            layer.self_attention.in_proj_weight.copy_(
                torch.cat([attention.query.weight, attention.key_value.weight])
            )
            layer.self_attention.in_proj_bias.copy_(
                torch.cat([attention.query.bias, attention.key_value.bias])
            )
            layer.self_attention.out_proj.load_state_dict(attention.out.state_dict())
            layer.ln_1.load_state_dict(mine.norm_attention.state_dict())
            layer.ln_2.load_state_dict(mine.norm_feed_forward.state_dict())
            layer.mlp[0].load_state_dict(mine.feed_forward[0].state_dict())
            layer.mlp[3].load_state_dict(mine.feed_forward[3].state_dict())
    x = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(ours(x), theirs(ours.standardise(x)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "grid", "patch", "patches"),
    [
        ((28, 28), 7, (4, 4), (7, 7)),
        ((8, 8), 7, (2, 2), (4, 4)),
        ((30, 41), 7, (5, 6), (6, 7)),
        ((3, 3), 7, (1, 1), (3, 3)),
    ],
)
def test_patches_cover_images_of_every_size(digits, size, grid, patch, patches):
    spec = dataclasses.replace(digits.spec, height=size[0], width=size[1])
    model = vit.build(vit.Config(grid=grid, width=8, depth=1, heads=2), spec).eval()
    assert (model.embed.patch, model.embed.grid) == (patch, patches)
    x = torch.rand(2, 1, *size)
    assert model.tokens(x).shape == (2, 1 + patches[0] * patches[1], 8)
    # Every pixel counts, the last row and column too.
    x.requires_grad_()
    model.tokens(x).sum().backward()
    assert (x.grad != 0).all()
    assert vit.attention(model, np.zeros((2, *size, 1), np.uint8)).shape == (2, *size)


def test_attention_is_told_per_patch_and_its_largest_is_one(digits):
    torch.manual_seed(0)
    model = vit.build(vit.Config.quick(), digits.spec).eval()
    looked = vit.attention(model, digits.test.images[:3])
    assert looked.shape == (3, 8, 8)
    np.testing.assert_allclose(looked.max(axis=(1, 2)), 1)
    assert (looked > 0).all()
    blocks = looked.reshape(3, 4, 2, 4, 2)
    assert (blocks == blocks[:, :, :1, :, :1]).all()


def test_heads_that_do_not_divide_are_named():
    with pytest.raises(UserError, match=r"overrides.*heads: 7 do not divide the width of 48"):
        configure(vit.Config, "quick", {"heads": 7}, "params.yaml: models.m.overrides")
