"""The decoder: it looks at what is written, then at what was read (Vaswani et al. 2017, section 3.1 and figure 1)."""

from __future__ import annotations

from torch import Tensor, nn

from models.blocks.attention import MultiHeadAttention, causal
from models.blocks.dropout import Dropout
from models.blocks.encoder import EPSILON

Memory = tuple[Tensor, Tensor]
"""Keys and values [N, heads, T, width / heads] of what was read: they are the same at every step."""


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and feed forward; each is added to what came in, and normalised."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, *, norm_first: bool) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.attention = MultiHeadAttention(width, heads)
        self.norm_attention = nn.LayerNorm(width, eps=EPSILON)
        self.cross_attention = MultiHeadAttention(width, heads)
        self.norm_cross_attention = nn.LayerNorm(width, eps=EPSILON)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), Dropout(dropout), nn.Linear(hidden, width), Dropout(dropout)
        )
        self.norm_feed_forward = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """Map all places at once, [N, L, width] to [N, L, width]; each sees those before it and itself."""
        hidden = causal(x.shape[1], x.device)
        before = self._before(x, self.norm_attention)
        x = self._after(x, self.attention(before, hidden=hidden), self.norm_attention)
        return self._read(x, memory)

    def step(self, x: Tensor, memory: Memory, cache: Memory, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map one place, given the keys and values of those before it.

        Args:
            x: float [R, width]; R is N, or N times the number of beams.
            memory: of the N images.
            cache: keys and values [R, L, width], filled up to ``place``.
            place: int64 [].

        Returns:
            The place's [R, width], and the cache with its key and value in it.
        """
        looked, key, value = self.attention.look_back(self._before(x, self.norm_attention), cache, place)
        x = self._after(x, looked, self.norm_attention)
        # The beams of an image look at the same memory: to it they are places side by side.
        beams = x.unflatten(0, (memory[0].shape[0], -1))
        return self._read(beams, memory).flatten(0, 1), key, value

    def map(self, x: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return what :meth:`forward` does, and the mean weights [N, L, T] of the heads on what was read."""
        hidden = causal(x.shape[1], x.device)
        before = self._before(x, self.norm_attention)
        looking = self._after(x, self.attention(before, hidden=hidden), self.norm_attention)
        query = self._before(looking, self.norm_cross_attention)
        return self._read(looking, memory), self.cross_attention.weights(query, memory[0]).mean(dim=1)

    def _read(self, x: Tensor, memory: Memory) -> Tensor:
        looked = self.cross_attention.look(self._before(x, self.norm_cross_attention), *memory)
        x = self._after(x, looked, self.norm_cross_attention)
        return self._after(
            x, self.feed_forward(self._before(x, self.norm_feed_forward)), self.norm_feed_forward, drop=False
        )

    def _before(self, x: Tensor, norm: nn.LayerNorm) -> Tensor:
        return norm(x) if self.norm_first else x

    def _after(self, x: Tensor, part: Tensor, norm: nn.LayerNorm, *, drop: bool = True) -> Tensor:
        total = x + (self.dropout(part) if drop else part)
        return total if self.norm_first else norm(total)
