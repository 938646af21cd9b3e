"""The encoder reads the columns in both directions; the decoder writes, looking back at them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks import draws, transcribe
from models.blocks.columns import Columns
from models.blocks.dropout import Dropout
from models.blocks.search import search
from models.blocks.transcribe import Transcriber, TranscriberGraph
from models.encoder_decoder.attention import SCORES
from models.encoder_decoder.config import Config


class EncoderDecoder(Transcriber):
    """A recurrent transcriber: the encoder reads in both directions, the decoder writes, looking back."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config, spec)
        width, read = config.width, 2 * config.width
        self.columns = Columns(spec, config.channels, config.stride, width, config.convolutions)
        self.encoder = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.first = nn.Linear(read, width)
        self.embed = nn.Embedding(self.end + 1, width)
        self.attention = SCORES[config.attention](width, read) if config.attention != "none" else None
        seen = read if self.attention is not None else 0
        self.cell = nn.GRUCell(width + seen, width)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(width + seen, self.end + 1)

    def read(self, x_bchw: Tensor) -> tuple[Tensor, Tensor]:
        """Return what was read, [N, T, 2 * width], and the decoder's first state [N, width].

        The latter follows from the states in which either direction ends.
        """
        memory, last = self.encoder(self.columns(x_bchw))
        return self.dropout(memory), torch.tanh(self.first(torch.cat([last[0], last[1]], dim=1)))

    def step(
        self, symbols: Tensor, state: Tensor, memory: Tensor, keys: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Write one symbol (Bahdanau et al. 2015, section 3.1).

        Args:
            symbols: int64 [R], the last ones; R is N, or N times the number of beams.
            state: float [R, width].
            memory: float [N, T, 2 * width].
            keys: what the attention makes of it, [N, T, width]; None without attention.

        Returns:
            Logits [R, V], the next state, and the weights of the columns [R, T]; None without attention.
        """
        inputs, weights = self.embed(symbols), None
        if self.attention is None:
            state = self.cell(inputs, state)
            return self.output(self.dropout(state)), state, None
        beams = state.unflatten(0, (memory.shape[0], -1))
        weights = self.attention(beams, keys)
        seen = (weights @ memory).flatten(0, 1)
        state = self.cell(torch.cat([inputs, seen], dim=1), state)
        return self.output(self.dropout(torch.cat([state, seen], dim=1))), state, weights.flatten(0, 1)

    def forward(
        self,
        x_bchw: Tensor,
        texts: Tensor,
        forcing: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the logits of each symbol of ``texts`` int64 [N, L], given those before it.

        With probability ``forcing`` each of those is the right one, else the one that the model found most probable.
        """
        right = transcribe.given(texts, self.end)
        memory, state = self.read(x_bchw)
        keys = self._keys(memory)
        logits: list[Tensor] = []
        for place in range(self.longest):
            symbols = right[:, place]
            if place and forcing < 1:
                forced = draws.rand(*symbols.shape, generator=generator, device=symbols.device) < forcing
                symbols = torch.where(forced, symbols, logits[-1].argmax(dim=-1))
            found, state, _ = self.step(symbols, state, memory, keys)
            logits.append(found)
        return torch.stack(logits, dim=1)

    def write(self, x_bchw: Tensor, beams: int) -> tuple[Tensor, Tensor]:
        """Return the symbols of the most probable texts found, int64 [N, L], and their probabilities float32 [N]."""
        memory, state = self.read(x_bchw)
        keys = self._keys(memory)

        def step(_: Tensor, symbols: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor]]:
            logits, state, _ = self.step(symbols, *state, memory, keys)
            return logits, (state,)

        state = state.repeat_interleave(beams, dim=0) if beams > 1 else state
        start = torch.full_like(state[:, 0], self.end, dtype=torch.int64)
        return search(step, (state,), start, longest=self.longest, beams=beams)

    def _keys(self, memory: Tensor) -> Tensor | None:
        return self.attention.keys(memory) if self.attention is not None else None


def build(config: Config, spec: DataSpec) -> EncoderDecoder:
    """Return the network with random weights."""
    return EncoderDecoder(config, spec)


def graph(model: EncoderDecoder) -> TranscriberGraph:
    """Return the module to export: uint8 [N, H, W, C] to symbols int64 [N, L] and confidence float32 [N]."""
    return TranscriberGraph(model, model.config.beams).eval()
