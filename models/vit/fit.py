"""Training of the vision transformer: cross-entropy on lightly changed images."""

from __future__ import annotations

from functools import partial

from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import classify, fine_tuning, shots
from models.run import Run
from models.vit.network import VisionTransformer


def fit(model: VisionTransformer, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights.

    Raises:
        UserError: the weights that it is to start from do not fit.
    """
    fine_tuning.begin(model)
    data = shots.few(data, model.config.shots, run.seed)
    criterion = partial(functional.cross_entropy, label_smoothing=model.config.label_smoothing)
    classify.train(model, data, run, model.config, criterion)
