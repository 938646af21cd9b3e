"""The classifier that judges, and learns from few labels: small, with a fixed recipe.

It is no family on purpose: a family's recipe may get better every week, but what generators are measured by must not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from components.judging.judge import FEATURES
from data import at_once
from data.prepared import DataSpec, Split
from models.blocks import classify
from models.blocks.classify import Classifying
from models.blocks.pixels import Standardise, unit
from models.run import Run

RECIPE = Classifying(shift=1, epochs=2, least_steps=400, batch_size=64, learning_rate=4e-3, weight_decay=0.05)
_LARGE = 16  # pictures from this many pixels on are halved at once
_CHUNK = 512


@dataclass(frozen=True)
class Lesson:
    """What a training reads of :class:`data.prepared.PreparedData`."""

    train: Split
    validation: Split


class Network(nn.Module):
    """Images [N, C, H, W] in [0, 1] to logits [N, K], by way of ``features`` [N, 64]: four convolutions and a mean."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        large = min(spec.height, spec.width) >= _LARGE
        plan = ((spec.channels, 32, 2 if large else 1), (32, 64, 1), (64, 64, 2), (64, FEATURES, 1))
        layers = [
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
            )
            for before, after, stride in plan
        ]
        self.layers = nn.Sequential(Standardise(spec), *layers)
        self.classify = nn.Linear(FEATURES, spec.num_classes)

    def features(self, x_bchw: Tensor) -> Tensor:
        """Return what the last layer decides by."""
        return self.layers(x_bchw).mean(dim=(2, 3))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        return self.classify(self.features(x_bchw))


class Graph(nn.Module):
    """What is exported of it. One scale for all features: in training images their mean variance is 1."""

    def __init__(self, network: Network, features: Tensor) -> None:
        """Take ``features`` [N, 64] of training images for what has mean 0 and mean variance 1."""
        super().__init__()
        self.network = network
        self.register_buffer("mean", features.mean(dim=0))
        # Training images that are all alike have no scale.
        self.register_buffer("scale", features.var(dim=0).mean().sqrt().clamp(min=1e-6))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 [N, H, W, C] to features float32 [N, 64] and class probabilities float32 [N, K]."""
        features = self.network.features(unit(image))
        return (features - self.mean) / self.scale, self.network.classify(features).softmax(dim=-1)


def learn(lesson: Lesson, spec: DataSpec, recipe: Classifying, name: str) -> Network:
    """Return a network trained on ``lesson``, on the CPU; the same lesson gives the same weights."""
    with Run(name) as run:
        network = Network(spec)
        classify.train(network, lesson, run, recipe)
    return network.eval()


@torch.no_grad()
def in_chunks(function: Callable[[Tensor], Tensor], images_nhwc: np.ndarray) -> Tensor:
    """Return ``function`` of the images uint8 [N, H, W, C], which gets them as [n, C, H, W] in [0, 1]."""
    size = at_once.pictures(images_nhwc.shape[1:], _CHUNK)
    starts = range(0, len(images_nhwc), size)
    return torch.cat([function(unit(torch.tensor(images_nhwc[i : i + size]))) for i in starts])
