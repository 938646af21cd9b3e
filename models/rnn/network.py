"""PyTorch's recurrent layers over the rows of an image."""

from __future__ import annotations

from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks.dropout import Dropout
from models.blocks.pixels import ClassifierGraph, Standardise
from models.rnn.config import Config

CELLS = {"vanilla": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentNetwork(nn.Module):
    """Images [N, C, H, W] in [0, 1] to logits [N, K]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.standardise = Standardise(spec)
        between = config.dropout if config.depth > 1 else 0.0
        self.cells = CELLS[config.cell](
            spec.channels * spec.width, config.width, config.depth, batch_first=True, dropout=between
        )
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(config.width, spec.num_classes)

    def rows(self, x_bchw: Tensor) -> Tensor:
        """Return the standardised rows [N, H, C * W], the sequence that is read."""
        return self.standardise(x_bchw).transpose(1, 2).flatten(2)

    def read(self, rows: Tensor) -> Tensor:
        """Return the logits [N, K] after the last row."""
        hidden, _ = self.cells(rows)
        return self.output(self.dropout(hidden[:, -1]))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        return self.read(self.rows(x_bchw))


def build(config: Config, spec: DataSpec) -> RecurrentNetwork:
    """Return the network with random weights."""
    return RecurrentNetwork(config, spec)


def graph(model: RecurrentNetwork) -> ClassifierGraph:
    """Return the module to export: uint8 [N, H, W, C] to probabilities [N, K]."""
    return ClassifierGraph(model).eval()
