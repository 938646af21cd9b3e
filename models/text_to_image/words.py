"""The text encoder: a transformer over a caption's words (Rombach et al. 2022, section 4.3.1 and appendix E.2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data.captions import FIRST
from models.blocks.encoder import Encoder

WIDER = 2
"""Hidden units of a layer for each number of an embedding: captions are short, and their words few."""


class TextEncoder(nn.Module):
    """Tokens int64 [N, L] to what the U-Net's places look at.

    Before the first word stands a vector that is the same for every caption: of a caption without words it is all that
    there is to look at. A word that is not known says nothing, and is not looked at either.
    """

    def __init__(self, words: int, longest: int, width: int, heads: int, depth: int) -> None:
        """Make an encoder of captions of at most ``longest`` of ``words`` words."""
        super().__init__()
        self.embed = nn.Embedding(FIRST + words, width)
        self.start = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(0.1 * torch.randn(1, longest, width))
        self.encoder = Encoder(width, heads, WIDER * width, depth, dropout=0.0)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the words float [N, 1 + L, width] and which of them are none, bool [N, 1 + L]."""
        words = self.embed(tokens) + self.places
        sequence = torch.cat([self.start.expand(words.shape[0], -1, -1), words], dim=1)
        missing = tokens < FIRST
        padding = torch.cat([torch.zeros_like(missing[:, :1]), missing], dim=1)
        return self.encoder(sequence, padding), padding
