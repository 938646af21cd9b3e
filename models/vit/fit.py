"""Training of the vision transformer: cross-entropy on lightly changed images."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import classify, loop
from models.run import Run
from models.vit.network import VisionTransformer


def fit(model: VisionTransformer, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    config = model.config

    def loss(network: nn.Module, x_bchw: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(network(x_bchw), labels, label_smoothing=config.label_smoothing)

    loop.train(model, data, run, config, loss=loss, validate=classify.validate, augment=config.change)
