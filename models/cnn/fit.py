"""Training of the convolutional network: cross-entropy on lightly changed images."""

from __future__ import annotations

from torch import Generator, Tensor, nn
from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import augment, classify, loop
from models.cnn.network import ResNet
from models.run import Run


def fit(model: ResNet, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    config = model.config

    def loss(network: nn.Module, x_bchw: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(network(x_bchw), labels, label_smoothing=config.label_smoothing)

    def change(x_bchw: Tensor, generator: Generator) -> Tensor:
        x_bchw = augment.shift(x_bchw, config.shift, generator)
        if config.flip:
            x_bchw = augment.flip(x_bchw, generator)
        return augment.cutout(x_bchw, config.cutout, generator)

    loop.train(model, data, run, config, loss=loss, validate=classify.validate, augment=change)
