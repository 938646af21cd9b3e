"""Training of the neural network."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import classify
from models.blocks.classify import Criterion
from models.mlp.network import MLP
from models.run import Run


def mse(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Return the squared distance of the probabilities from the one-hot labels (Brier 1950)."""
    each = (logits.softmax(dim=1) - functional.one_hot(labels, logits.shape[1])).square().sum(dim=1)
    return each.mean() if reduction == "mean" else each


LOSSES: dict[str, Criterion] = {
    "cross_entropy": functional.cross_entropy,
    "mse": mse,
    # What each other class lacks to be one below the right one.
    "multi_margin": functional.multi_margin_loss,
}


def fit(model: MLP, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    classify.train(model, data, run, model.config, LOSSES[model.config.loss])
