"""Training of the convolutional network: cross-entropy on lightly changed images."""

from __future__ import annotations

from functools import partial

from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import classify
from models.cnn.network import ResNet
from models.run import Run


def fit(model: ResNet, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    criterion = partial(functional.cross_entropy, label_smoothing=model.config.label_smoothing)
    classify.train(model, data, run, model.config, criterion)
