"""The transformer's encoder (Vaswani et al. 2017, section 3.1), norms before each part (Xiong et al. 2020) or after."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.blocks.attention import MultiHeadAttention
from models.blocks.dropout import Dropout

EPSILON = 1e-6
"""Of the layer norms: torchvision's and the papers', a tenth of PyTorch's own."""


class EncoderLayer(nn.Module):
    """``x + attention(norm(x))``, then ``x + feed_forward(norm(x))``.

    Without ``norm_first``, as in the first paper: ``norm(x + attention(x))``, then ``norm(x + feed_forward(x))``.
    """

    def __init__(
        self, width: int, heads: int, hidden: int, dropout: float, *, norm_first: bool = True
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm_attention = nn.LayerNorm(width, eps=EPSILON)
        self.attention = MultiHeadAttention(width, heads)
        self.dropout = Dropout(dropout)
        self.norm_feed_forward = nn.LayerNorm(width, eps=EPSILON)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(hidden, width),
            Dropout(dropout),
        )

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map [N, L, width] to [N, L, width]; nobody looks where ``padding``, bool [N, L], is True."""
        if self.norm_first:
            x = x + self.dropout(self.attention(self.norm_attention(x), padding=padding))
            return x + self.feed_forward(self.norm_feed_forward(x))
        x = self.norm_attention(x + self.dropout(self.attention(x, padding=padding)))
        return self.norm_feed_forward(x + self.feed_forward(x))

    def map(self, x: Tensor) -> Tensor:
        """Return the attention maps [N, heads, L, L] of ``x`` as :meth:`forward` takes it."""
        return self.attention.map(self.norm_attention(x) if self.norm_first else x)


class Encoder(nn.Module):
    """Layers, and a norm after the last."""

    def __init__(
        self, width: int, heads: int, hidden: int, depth: int, dropout: float, *, norm_first: bool = True
    ) -> None:
        super().__init__()
        layers = (EncoderLayer(width, heads, hidden, dropout, norm_first=norm_first) for _ in range(depth))
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map [N, L, width] to [N, L, width]; nobody looks where ``padding``, bool [N, L], is True."""
        for layer in self.layers:
            x = layer(x, padding)
        return self.norm(x)

    def rollout(self, x: Tensor) -> Tensor:
        """Return how much each place of the output draws on each of ``x``, [N, L, L], rows summing to 1.

        Attention rollout (Abnar & Zuidema 2020): the product over the layers of the mean map of the heads, mixed half
        and half with the identity for the path around the attention.
        """
        same = torch.eye(x.shape[1], device=x.device)
        flow = same.expand(len(x), -1, -1)
        for layer in self.layers:
            maps = layer.map(x).mean(dim=1)
            flow = (0.5 * maps + 0.5 * same) @ flow
            x = layer(x)
        return flow
