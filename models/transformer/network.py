"""Two encoders, two decoders: images in, logits of symbols out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks import transcribe
from models.blocks.columns import Columns
from models.blocks.dropout import Dropout
from models.blocks.encoder import EPSILON, Encoder
from models.blocks.search import State, search
from models.blocks.transcribe import Transcriber, TranscriberGraph
from models.transformer.config import Config
from models.transformer.decoder import DecoderLayer, Memory

BASE = 100
"""Of the waves' lengths, the paper's 10,000: lines are short, and on longer waves all of their places are the same."""


class Transformer(Transcriber):
    """A transcriber of attention alone: an encoder of columns, and a decoder of symbols."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config, spec)
        layer = (config.width, config.heads, config.hidden)
        self.columns = Columns(spec, config.channels, config.stride, config.width, config.convolutions)
        self.encoder = Encoder(*layer, config.encoders, config.dropout, norm_first=config.norm_first)
        self.embed = nn.Embedding(self.end + 1, config.width)
        self.decoders = nn.ModuleList(
            DecoderLayer(*layer, config.dropout, norm_first=config.norm_first) for _ in range(config.decoders)
        )
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(config.width, self.end + 1)
        places = waves(max(self.columns.length, self.longest), config.width)
        self.register_buffer("places", places, persistent=False)
        nn.init.normal_(self.embed.weight, std=config.width**-0.5)

    def read(self, x_bchw: Tensor) -> list[Memory]:
        """Return for each decoder the keys and values of what the encoders read."""
        columns = self.columns(x_bchw) + self.places[: self.columns.length]
        memory = self.encoder(self.dropout(columns))
        # Copies: a loop of an exported graph takes no two tensors that share their memory.
        both = (decoder.cross_attention.remember(memory) for decoder in self.decoders)
        return [(key.clone(), value.clone()) for key, value in both]

    def symbols(self, symbols: Tensor, places: Tensor) -> Tensor:
        """Return embeddings [N, L, width] of symbols int64 [N, L] at ``places`` [L, width]."""
        # Scaled as the paper does (section 3.4): the places' waves would drown it else.
        return self.dropout(self.embed(symbols) * math.sqrt(self.config.width) + places)

    def forward(self, x_bchw: Tensor, texts: Tensor) -> Tensor:
        """Return the logits of each symbol of ``texts`` int64 [N, L], given the right ones before it."""
        x = self.symbols(transcribe.given(texts, self.end), self.places[: self.longest])
        for decoder, memory in zip(self.decoders, self.read(x_bchw), strict=True):
            x = decoder(x, memory)
        return self.output(self.norm(x))

    def step(
        self, place: Tensor, symbols: Tensor, cache: State, memories: list[Memory]
    ) -> tuple[Tensor, State]:
        """Write one symbol: ``place`` int64 [], the last symbols int64 [R], the keys and values of those before.

        Returns:
            Logits [R, V] and the cache: keys and values [R, L, width] of each decoder in turn.
        """
        x = self.symbols(symbols, self.places.index_select(0, place.reshape(1)))
        kept: list[Tensor] = []
        for number, (decoder, memory) in enumerate(zip(self.decoders, memories, strict=True)):
            x, *new = decoder.step(x, memory, (cache[2 * number], cache[2 * number + 1]), place)
            kept += new
        return self.output(self.norm(x)), tuple(kept)

    def write(self, x_bchw: Tensor, beams: int) -> tuple[Tensor, Tensor]:
        """Return the symbols of the most probable texts found, int64 [N, L], and their probabilities float32 [N]."""
        memories = self.read(x_bchw)

        def step(place: Tensor, symbols: Tensor, cache: State) -> tuple[Tensor, State]:
            return self.step(place, symbols, cache, memories)

        row = memories[0][0][:, :, 0].flatten(1)
        row = row if beams == 1 else row.repeat_interleave(beams, dim=0)
        empty = torch.zeros_like(row)[:, None].repeat(1, self.longest, 1)
        start = torch.full_like(row[:, 0], self.end, dtype=torch.int64)
        cache = tuple(empty.clone() for _ in range(2 * len(memories)))
        return search(step, cache, start, longest=self.longest, beams=beams)


def waves(length: int, width: int) -> Tensor:
    """Return float32 [length, width]: sines and cosines of the place (Vaswani et al. 2017, section 3.5)."""
    angles = torch.arange(length)[:, None] * BASE ** (-torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def build(config: Config, spec: DataSpec) -> Transformer:
    """Return the network with random weights."""
    return Transformer(config, spec)


def graph(model: Transformer) -> TranscriberGraph:
    """Return the module to export: uint8 [N, H, W, C] to symbols int64 [N, L] and confidence float32 [N]."""
    return TranscriberGraph(model, model.config.beams).eval()
