"""Training of the transformer: cross-entropy of all symbols at once, each given the right ones before it."""

from __future__ import annotations

from torch import Tensor, nn

from data.prepared import PreparedData
from models.blocks import transcribe
from models.run import Run
from models.transformer.network import Transformer


def fit(model: Transformer, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    config = model.config

    def loss(network: nn.Module, x_bchw: Tensor, texts: Tensor) -> Tensor:
        return transcribe.cross_entropy(network(x_bchw, texts), texts, config.label_smoothing)

    transcribe.train(model, data, run, config, loss)
