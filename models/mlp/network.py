"""Linear layers with an activation between."""

from __future__ import annotations

import math

from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks.dropout import Dropout
from models.blocks.pixels import ClassifierGraph, Standardise
from models.mlp.config import Config

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class MLP(nn.Module):
    """Images [N, C, H, W] in [0, 1] to logits [N, K]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.standardise = Standardise(spec)
        layers: list[nn.Module] = []
        width_in = math.prod(spec.shape)
        for width in config.widths:
            layers += [
                nn.Linear(width_in, width),
                ACTIVATIONS[config.activation](),
                Dropout(config.dropout),
            ]
            width_in = width
        self.layers = nn.Sequential(*layers, nn.Linear(width_in, spec.num_classes))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        return self.layers(self.standardise(x_bchw).flatten(1))


def build(config: Config, spec: DataSpec) -> MLP:
    """Return the network with random weights."""
    return MLP(config, spec)


def graph(model: MLP) -> ClassifierGraph:
    """Return the module to export: uint8 [N, H, W, C] to probabilities [N, K]."""
    return ClassifierGraph(model).eval()
