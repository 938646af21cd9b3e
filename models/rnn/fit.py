"""Training of the recurrent network: cross-entropy after the last row."""

from __future__ import annotations

from data.prepared import PreparedData
from models.blocks import classify
from models.rnn.network import RecurrentNetwork
from models.run import Run


def fit(model: RecurrentNetwork, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    classify.train(model, data, run, model.config)
