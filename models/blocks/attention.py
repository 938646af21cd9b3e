"""Attention: ``Attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V`` (Vaswani et al. 2017, section 3.2.1).

Written once for all families. Where a mask says who may not be looked at, True means "not", as it does for the padding
mask of ``torch.nn.MultiheadAttention``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

MAP = 2**20
"""Numbers of an attention map, of one head, up to which an exported graph computes it as a whole."""


def attend(
    query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """Return for each query the mean of the values, weighted by how well their keys fit: PyTorch's fused kernel.

    Args:
        query: float [..., L, E].
        key: float [..., S, E].
        value: float [..., S, V].
        hidden: bool, broadcasts to [..., L, S]: True where a query must not look. Each query needs one key at least.
        bias: float, broadcasts to [..., L, S], added to the scores before the softmax.

    Returns:
        float [..., L, V].
    """
    # Of PyTorch's kernel an ONNX graph gets a dozen operations that nothing fuses.
    if torch.compiler.is_exporting():
        return _attend_in_parts(query, key, value, hidden, bias)
    mask = None if hidden is None else ~hidden
    if bias is not None:
        mask = bias if hidden is None else bias.masked_fill(hidden, -math.inf)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _attend_in_parts(
    query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None, bias: Tensor | None
) -> Tensor:
    """Return what :func:`attend` does by plain operations, of long sequences some queries at a time.

    The whole map of 3,136 places, those of a picture of 224 pixels at a quarter of its sides, would take 39 MB a head.
    """
    length, others = query.shape[-2], key.shape[-2]
    if (
        not isinstance(length, int)
        or not isinstance(others, int)
        or length * others <= MAP
        or hidden is not None
    ):
        return weights(query, key, hidden, bias) @ value
    size = max(1, MAP // others)
    starts = range(0, length, size)
    parts = [
        weights(
            query[..., start : start + size, :],
            key,
            None,
            bias if bias is None or bias.shape[-2] == 1 else bias[..., start : start + size, :],
        )
        @ value
        for start in starts
    ]
    return torch.cat(parts, dim=-2)


def weights(query: Tensor, key: Tensor, hidden: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Return the attention map [..., L, S]: how much of each value :func:`attend` takes. Each row sums to 1."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if bias is not None:
        scores = scores + bias
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    return scores.softmax(dim=-1)


def causal(length: int, device: torch.device | None = None) -> Tensor:
    """Return bool [L, L] that hides from each place all that come after it."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own part of the width (Vaswani et al. 2017, section 3.2.2).

    Self-attention where a sequence looks at itself; cross-attention where it looks at another, the ``memory``.
    """

    def __init__(self, width: int, heads: int, memory_width: int | None = None) -> None:
        """Make ``heads`` heads of ``width / heads`` each; ``memory_width`` is the other sequence's, if not the same.

        Raises:
            ValueError: ``heads`` does not divide ``width``.
        """
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(memory_width or width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        hidden: Tensor | None = None,
        padding: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Return float [N, L, width].

        Args:
            x: float [N, L, width], what looks.
            memory: float [N, S, memory_width], what is looked at; ``x`` itself when None.
            hidden: bool [L, S], True where a place must not look, as :func:`causal` gives it.
            padding: bool [N, S], True where ``memory`` is filling.
            bias: float, broadcasts to [N, heads, L, S], added to the scores.
        """
        query, key, value = self._project(x, x if memory is None else memory)
        mixed = attend(query, key, value, _join(hidden, padding), bias)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def map(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        padding: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Return the attention maps [N, heads, L, S] of all heads."""
        query, key, _ = self._project(x, x if memory is None else memory)
        return weights(query, key, _join(None, padding), bias)

    def remember(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values [N, heads, S, width / heads], to be looked at more than once by :meth:`look`."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return self._by_head(key), self._by_head(value)

    def look(self, x: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Return float [N, L, width]: what ``x`` [N, L, width] sees in what was remembered; ``hidden`` as above."""
        mixed = attend(self._by_head(self.query(x)), key, value, hidden)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def look_back(self, x: Tensor, kept: Sequence[Tensor], place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Self-attention of one place, which sees itself and those before it.

        With one query a row it is sums of products: as many products of tiny matrices cost more in calls than in
        arithmetic.

        Args:
            x: float [R, width], the place's.
            kept: keys and values [R, L, width], filled up to ``place``.
            place: int64 [].

        Returns:
            The place's [R, width], and the keys and values with its own among them.
        """
        here = torch.arange(kept[0].shape[1], device=x.device)[:, None]
        new = self.key_value(x)[:, None].chunk(2, dim=-1)
        keys, values = (torch.where(here == place, one, old) for one, old in zip(new, kept, strict=True))
        query = self.query(x)[:, None] / math.sqrt(x.shape[1] / self.heads)
        fits = self._parts(query * keys).sum(dim=-1, keepdim=True)
        fits = fits.masked_fill(here[..., None] > place, -math.inf)
        mixed = (fits.softmax(dim=1) * self._parts(values)).sum(dim=1)
        return self.out(mixed.flatten(1)), keys, values

    def weights(self, x: Tensor, key: Tensor) -> Tensor:
        """Return the attention maps [N, heads, L, S] of what ``x`` [N, L, width] sees in remembered keys."""
        return weights(self._by_head(self.query(x)), key)

    def _project(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries [N, heads, L, width / heads], and keys and values with S in place of L."""
        return self._by_head(self.query(x)), *self.remember(memory)

    def _by_head(self, part: Tensor) -> Tensor:
        return self._parts(part).transpose(1, 2)

    def _parts(self, whole: Tensor) -> Tensor:
        return whole.unflatten(-1, (self.heads, -1))


def _join(hidden: Tensor | None, padding: Tensor | None) -> Tensor | None:
    if padding is None:
        return hidden
    padded = padding[:, None, None, :]
    return padded if hidden is None else padded | hidden
