"""Training of the convolutional network: cross-entropy on lightly changed images."""

from __future__ import annotations

from functools import partial

from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import classify, fine_tuning, shots
from models.cnn.network import ResNet, Transferred
from models.run import Run


def fit(model: ResNet | Transferred, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights.

    Raises:
        UserError: the weights that it is to start from do not fit.
    """
    fine_tuning.begin(model)
    data = shots.few(data, model.config.shots, run.seed)
    criterion = partial(functional.cross_entropy, label_smoothing=model.config.label_smoothing)
    classify.train(model, data, run, model.config, criterion)
