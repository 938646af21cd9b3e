"""Training of the encoder and decoder: cross-entropy of each symbol, given right symbols and the model's own."""

from __future__ import annotations

from torch import Tensor, nn

from data.prepared import PreparedData
from models.blocks import transcribe
from models.encoder_decoder.network import EncoderDecoder
from models.run import Run


def fit(model: EncoderDecoder, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    config = model.config

    def loss(network: nn.Module, x_bchw: Tensor, texts: Tensor) -> Tensor:
        forcing = 1 - run.done * (1 - config.forcing)
        logits = network(x_bchw, texts, forcing, run.generator)
        return transcribe.cross_entropy(logits, texts, config.label_smoothing)

    transcribe.train(model, data, run, config, loss)
