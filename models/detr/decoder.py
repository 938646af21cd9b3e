"""The decoder: queries look at each other, then at the picture around their boxes, and move the boxes, layer by layer.

Each query has an anchor box that its position encoding is made of, and that each layer corrects (DAB-DETR, Liu et al.
2022; iterative refinement of Deformable DETR, Zhu et al. 2021). Each head looks with preference at a place of its own
about the box (SMCA, Gao et al. 2021): cross-attention need not first learn where to look, which is what the first DETR
spends most of its training on.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.blocks.attention import MultiHeadAttention
from models.blocks.dropout import Dropout
from models.blocks.encoder import EPSILON
from models.detr import boxes, position_encoding

LEAST_REACH = 0.02
"""Added to half a box's sides, as a share of the picture's: a small box is looked at with something around it."""


class Spot(nn.Module):
    """Where each head looks: a Gaussian about a point of the box, added to the attention's scores (SMCA, section 3.2).

    Heads start on a ring about the box's middle, as the sampling points of Deformable DETR do.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        angles = 2 * math.pi * torch.arange(heads) / heads
        self.offset = nn.Parameter(0.5 * torch.stack([angles.cos(), angles.sin()], dim=1))
        self.log_width = nn.Parameter(torch.zeros(heads))

    def forward(self, anchors: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return scores [N, heads, Q, S] for centre boxes [N, Q, 4] and the S cells of ``grid``, row by row."""
        middle, half = anchors[:, None, :, :2], anchors[:, None, :, 2:] / 2
        aim = middle + self.offset[:, None] * half
        width = (half + LEAST_REACH) * torch.exp(self.log_width)[:, None, None]
        height, length = grid
        # A Gaussian is the product of one along each side: their logarithms need a row and a column of numbers only.
        across, along = (
            ((position_encoding.middles(cells, aim.device) - aim[..., k, None]) / width[..., k, None]) ** 2
            for k, cells in ((0, length), (1, height))
        )
        scores = -0.5 * (along[..., :, None] + across[..., None, :]).flatten(-2)
        # PyTorch's attention takes another kernel where these need a gradient, and the export trips over the change.
        return scores if self.training else scores.detach()


class DecoderLayer(nn.Module):
    """``x + self_attention``, ``x + cross_attention``, ``x + feed_forward``, a norm before each part."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, spot: bool) -> None:
        super().__init__()
        self.norm_self = nn.LayerNorm(width, eps=EPSILON)
        self.self_attention = MultiHeadAttention(width, heads)
        self.norm_cross = nn.LayerNorm(width, eps=EPSILON)
        self.cross_attention = MultiHeadAttention(width, heads)
        self.spot = Spot(heads) if spot else None
        self.dropout = Dropout(dropout)
        self.norm_feed_forward = nn.LayerNorm(width, eps=EPSILON)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), Dropout(dropout), nn.Linear(hidden, width), Dropout(dropout)
        )

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        anchors: Tensor,
        memory: Tensor,
        grid: tuple[int, int],
        hidden: Tensor | None,
    ) -> Tensor:
        """Return the queries [N, Q, width].

        Args:
            x: the queries [N, Q, width].
            positions: the encoding of their anchors, the same shape.
            anchors: centre boxes [N, Q, 4].
            memory: the picture's cells [N, S, width].
            grid: rows and columns of cells, S in all.
            hidden: bool [Q, Q], True where a query must not look at another.
        """
        x = x + self.dropout(self.self_attention(self.norm_self(x) + positions, hidden=hidden))
        asked, bias = self._asked(x, positions, anchors, grid)
        x = x + self.dropout(self.cross_attention(asked, memory, bias=bias))
        return x + self.feed_forward(self.norm_feed_forward(x))

    def looks(
        self, x: Tensor, positions: Tensor, anchors: Tensor, memory: Tensor, grid: tuple[int, int]
    ) -> Tensor:
        """Return the maps [N, heads, Q, S] of where each query looks in the picture."""
        x = x + self.self_attention(self.norm_self(x) + positions)
        asked, bias = self._asked(x, positions, anchors, grid)
        return self.cross_attention.map(asked, memory, bias=bias)

    def _asked(
        self, x: Tensor, positions: Tensor, anchors: Tensor, grid: tuple[int, int]
    ) -> tuple[Tensor, Tensor | None]:
        bias = None if self.spot is None else self.spot(anchors, grid)
        return self.norm_cross(x) + positions, bias


class Decoder(nn.Module):
    """Layers, and what they share: the encoding of anchors, and the heads for classes and boxes."""

    def __init__(
        self, width: int, heads: int, hidden: int, depth: int, dropout: float, outputs: int, spot: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, heads, hidden, dropout, spot) for _ in range(depth))
        self.encode = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.classify = nn.Linear(width, outputs)
        self.move = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 4))
        nn.init.zeros_(self.move[-1].weight)
        nn.init.zeros_(self.move[-1].bias)

    def forward(
        self, x: Tensor, anchors: Tensor, memory: Tensor, grid: tuple[int, int], hidden: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits [depth, N, Q, outputs] and centre boxes [depth, N, Q, 4]; arguments as of the layers."""
        logits, found = [], []
        for layer in self.layers:
            x = layer(x, self.positions(anchors), anchors, memory, grid, hidden)
            seen = self.norm(x)
            logits.append(self.classify(seen))
            found.append(self._moved(anchors, seen))
            anchors = found[-1].detach()
        return torch.stack(logits), torch.stack(found)

    def looks(self, x: Tensor, anchors: Tensor, memory: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the maps [N, heads, Q, S] of where each query looks in the picture in the last layer."""
        for layer in self.layers[:-1]:
            x = layer(x, self.positions(anchors), anchors, memory, grid, None)
            anchors = self._moved(anchors, self.norm(x))
        return self.layers[-1].looks(x, self.positions(anchors), anchors, memory, grid)

    def _moved(self, anchors: Tensor, seen: Tensor) -> Tensor:
        return torch.sigmoid(boxes.logit(anchors) + self.move(seen))

    def positions(self, anchors: Tensor) -> Tensor:
        """Return the encoding [N, Q, width] of centre boxes [N, Q, 4]."""
        return self.encode(position_encoding.of_boxes(anchors, self.norm.normalized_shape[0]))
