"""Attention against the formula, PyTorch's own modules, and ONNX Runtime."""

from __future__ import annotations

import math

import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from models.blocks import attention
from models.blocks.attention import MultiHeadAttention


def test_the_worked_example_of_the_notes():
    """Query 4x3, key 4x3: scores 4x4, scaled, softmax, an attention map 4x4, times the value 4x3: an output of 4x3."""
    query = torch.tensor([[1.0, 0, 2], [0, 3, 1], [1, 1, 1], [2, 0, 0]])
    key = torch.tensor([[0.0, 1, 1], [4, 4, 0], [2, 3, 1], [1, 0, 2]])
    value = torch.tensor([[1.0, 2, 3], [2, 8, 0], [2, 6, 3], [0, 1, 5]])
    expected_map, expected = [], []
    for q in query.tolist():
        scores = [sum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(3) for k in key.tolist()]
        exponentials = [math.exp(score) for score in scores]
        row = [e / sum(exponentials) for e in exponentials]
        expected_map.append(row)
        columns = zip(*value.tolist(), strict=True)
        expected.append([sum(w * v for w, v in zip(row, column, strict=True)) for column in columns])
    maps = attention.weights(query, key)
    assert maps.shape == (4, 4)
    torch.testing.assert_close(maps, torch.tensor(expected_map))
    torch.testing.assert_close(attention.attend(query, key, value), torch.tensor(expected))
    torch.testing.assert_close(
        attention.attend(query, key, value), functional.scaled_dot_product_attention(query, key, value)
    )


def _both(
    width: int, heads: int, memory_width: int | None
) -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    """Return ours and PyTorch's module with the same weights."""
    ours = MultiHeadAttention(width, heads, memory_width)
    theirs = nn.MultiheadAttention(
        width, heads, batch_first=True, kdim=memory_width or width, vdim=memory_width or width
    )
    key, value = ours.key_value.weight.chunk(2)
    with torch.no_grad():
        if memory_width in (None, width):
            theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, key, value]))
        else:
            theirs.q_proj_weight.copy_(ours.query.weight)
            theirs.k_proj_weight.copy_(key)
            theirs.v_proj_weight.copy_(value)
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    return ours, theirs


@settings(deadline=None, max_examples=25)
@given(
    heads=st.sampled_from([1, 2, 4]),
    lengths=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    memory_width=st.sampled_from([None, 8, 5]),
    masks=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 1000),
)
def test_equals_pytorchs_with_the_same_weights(heads, lengths, memory_width, masks, seed):
    torch.manual_seed(seed)
    ours, theirs = _both(8, heads, memory_width)
    (length, other), (is_causal, is_padded) = lengths, masks
    x = torch.randn(3, length, 8)
    memory = None if memory_width is None else torch.randn(3, other, memory_width)
    looked_at = x if memory is None else memory
    hidden = attention.causal(length) if is_causal and memory is None else None
    padding = None
    if is_padded:
        padding = torch.rand(3, looked_at.shape[1]) < 0.4
        padding[:, 0] = False  # who may look at nothing has no answer
    expected, maps = theirs(
        x, looked_at, looked_at, attn_mask=hidden, key_padding_mask=padding, average_attn_weights=False
    )
    torch.testing.assert_close(
        ours(x, memory, hidden=hidden, padding=padding), expected, rtol=1e-5, atol=1e-6
    )
    if hidden is None and padding is None:
        torch.testing.assert_close(ours.map(x, memory), maps, rtol=1e-5, atol=1e-6)


def test_nothing_is_seen_through_a_mask():
    torch.manual_seed(0)
    block = MultiHeadAttention(8, 2)
    x = torch.randn(2, 5, 8)
    changed = x.clone()
    changed[:, 3:] = torch.randn(2, 2, 8)
    hidden = attention.causal(5)
    assert torch.equal(block(x, hidden=hidden)[:, :3], block(changed, hidden=hidden)[:, :3])
    padding = torch.tensor([[False, False, False, True, True]]).expand(2, -1)
    assert torch.equal(block(x, padding=padding)[:, :3], block(changed, padding=padding)[:, :3])


@pytest.mark.parametrize("is_causal", [False, True])
def test_a_bias_is_added_to_the_scores(is_causal):
    """PyTorch's block takes one mask of numbers, of every head: biases, and minus infinity where nothing is seen."""
    torch.manual_seed(0)
    ours, theirs = _both(8, 2, None)
    x, bias = torch.randn(3, 5, 8), torch.randn(3, 2, 5, 5)
    hidden = attention.causal(5) if is_causal else None
    mask = bias if hidden is None else bias.masked_fill(hidden, -math.inf)
    expected, maps = theirs(x, x, x, attn_mask=mask.flatten(0, 1), average_attn_weights=False)
    torch.testing.assert_close(ours(x, hidden=hidden, bias=bias), expected, rtol=1e-5, atol=1e-6)
    if hidden is None:
        torch.testing.assert_close(ours.map(x, bias=bias), maps, rtol=1e-5, atol=1e-6)


def test_place_by_place_sees_what_all_at_once_does():
    torch.manual_seed(0)
    block = MultiHeadAttention(8, 2)
    x = torch.randn(3, 5, 8)
    kept = (torch.full((3, 5, 8), 9.0), torch.full((3, 5, 8), 9.0))  # what lies there is not read
    seen = []
    for place in range(5):
        found, *kept = block.look_back(x[:, place], kept, torch.tensor(place))
        seen.append(found)
    expected = block(x, hidden=attention.causal(5))
    torch.testing.assert_close(torch.stack(seen, dim=1), expected, rtol=1e-5, atol=1e-6)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads do not divide a width of 8"):
        MultiHeadAttention(8, 3)


class _Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.own, self.other = MultiHeadAttention(8, 2), MultiHeadAttention(8, 4, 6)

    def forward(self, x: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        x = self.own(x, hidden=attention.causal(x.shape[1], x.device))
        return self.other(x, memory, padding=padding)


def test_exports_with_both_masks(tmp_path):
    torch.manual_seed(0)
    block = _Masked().eval()

    def given(count: int) -> dict[str, Tensor]:
        padding = torch.zeros(count, 7, dtype=torch.bool)
        padding[:, 4:] = True
        return {"x": torch.randn(count, 5, 8), "memory": torch.randn(count, 7, 6), "padding": padding}

    batch = {0: torch.export.Dim.DYNAMIC}
    file = tmp_path / "attention.onnx"
    torch.onnx.export(
        block,
        (),
        file,
        kwargs=given(2),
        dynamo=True,
        dynamic_shapes=dict.fromkeys(given(2), batch),
        verbose=False,
    )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        values = given(count)
        (theirs,) = session.run(None, {name: value.numpy() for name, value in values.items()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(theirs), block(**values), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("biased", [False, True])
def test_a_long_sequence_in_parts_is_the_whole(monkeypatch, biased):
    query, key, value = (torch.randn(2, 3, 11, 4) for _ in range(3))
    bias = torch.randn(1, 3, 11, 11) if biased else None
    monkeypatch.setattr(attention, "MAP", 44)  # four queries at a time
    parted = attention._attend_in_parts(query, key, value, None, bias)
    torch.testing.assert_close(parted, attention.weights(query, key, None, bias) @ value)
