"""The linear model."""

from __future__ import annotations

import math

from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks.pixels import ClassifierGraph
from models.logreg.config import Config


class LogisticRegression(nn.Module):
    """Images [N, C, H, W] in [0, 1] to logits [N, K]: one weight per pixel and class."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(math.prod(spec.shape), spec.num_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        return self.linear(x_bchw.flatten(1))


def build(config: Config, spec: DataSpec) -> LogisticRegression:
    """Return the model with all weights zero."""
    return LogisticRegression(config, spec)


def graph(model: LogisticRegression) -> ClassifierGraph:
    """Return the module to export: uint8 [N, H, W, C] to probabilities [N, K]."""
    return ClassifierGraph(model).eval()
