"""The encoder against PyTorch's own layer, and its rollout against what it must be."""

from __future__ import annotations

import torch
from torch import nn

from models.blocks.encoder import EPSILON, Encoder, EncoderLayer


def test_a_layer_equals_pytorchs_with_the_same_weights():
    torch.manual_seed(0)
    ours = EncoderLayer(8, 2, 12, dropout=0.0).eval()
    theirs = nn.TransformerEncoderLayer(
        8, 2, 12, dropout=0.0, activation="gelu", layer_norm_eps=EPSILON, batch_first=True, norm_first=True
    ).eval()
    attention = ours.attention
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([attention.query.weight, attention.key_value.weight]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([attention.query.bias, attention.key_value.bias]))
        theirs.self_attn.out_proj.load_state_dict(attention.out.state_dict())
        theirs.norm1.load_state_dict(ours.norm_attention.state_dict())
        theirs.norm2.load_state_dict(ours.norm_feed_forward.state_dict())
        theirs.linear1.load_state_dict(ours.feed_forward[0].state_dict())
        theirs.linear2.load_state_dict(ours.feed_forward[3].state_dict())
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-6)
    padding = torch.arange(5) >= torch.tensor([[5], [3], [1]])
    filled, expected = ours(x, padding), theirs(x, src_key_padding_mask=padding)
    torch.testing.assert_close(filled[~padding], expected[~padding], rtol=1e-5, atol=1e-6)


def test_a_rollout_is_a_share_and_without_layers_each_place_is_its_own():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 8)
    with torch.no_grad():
        rolled = Encoder(8, 2, 16, 3, 0.0).eval().rollout(x)
    torch.testing.assert_close(rolled.sum(dim=2), torch.ones(2, 6))
    assert (rolled > 0).all()
    assert torch.equal(Encoder(8, 2, 16, 0, 0.0).rollout(x), torch.eye(6).expand(2, 6, 6))


def test_a_rollout_follows_the_attention():
    """A layer whose every query takes the second place alone sends half of the flow there."""
    torch.manual_seed(0)
    encoder = Encoder(4, 1, 4, 1, 0.0).eval()
    layer = encoder.layers[0]
    x = torch.zeros(1, 3, 4)
    x[0, :, 0], x[0, :, 1] = 1, -1
    x[0, 1] = torch.tensor([-1.0, 1, 0, 0])
    with torch.no_grad():
        layer.attention.query.weight.zero_()
        layer.attention.query.bias.copy_(torch.tensor([-100.0, 0, 0, 0]))
        layer.attention.key_value.weight.zero_()
        layer.attention.key_value.weight[:4] = torch.eye(4)
        rolled = encoder.rollout(x)
    torch.testing.assert_close(rolled[0, 0], torch.tensor([0.5, 0.5, 0.0]))
