"""Generator and discriminator of linear blocks, and what makes either kind conditional."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from data.prepared import DataSpec
from models.gan import convolutional
from models.gan.config import Config

SLOPE = 0.2
"""Of the leaky ReLU below zero (Radford et al. 2016)."""


class Generator(nn.Module):
    """Noise [N, Z] and, of a conditional one, labels int64 [N] to images [N, C, H, W] in [0, 1]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.num_classes = spec.num_classes if config.conditional else 0
        self.embedding = nn.Embedding(spec.num_classes, config.latents) if config.conditional else None
        width_in = config.latents * (2 if config.conditional else 1)
        if config.architecture == "linear":
            self.layers = _linear_generator(width_in, config.widths, spec)
        else:
            self.layers = convolutional.generator(width_in, config.widths, spec)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the images."""
        read = z if self.embedding is None else torch.cat([z, self.embedding(label)], dim=1)
        return self.layers(read)


class Discriminator(nn.Module):
    """Images [N, C, H, W] in [0, 1] and labels to scores [N]: the higher, the more real.

    A conditional one adds ``embedding(label) . features``, the projection of Miyato & Koyama 2018, section 3.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        widths = config.widths[::-1]
        if config.architecture == "linear":
            self.features, size = _linear_features(math.prod(spec.shape), widths), widths[-1]
        else:
            self.features, size = convolutional.features(widths, spec, SLOPE)
        self.score = nn.Linear(size, 1)
        self.embedding = nn.Embedding(spec.num_classes, size) if config.conditional else None

    def forward(self, x_bchw: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the scores."""
        features = self.features(2 * x_bchw - 1).float()
        score = self.score(features)[:, 0]
        if self.embedding is None:
            return score
        return score + (self.embedding(label) * features).sum(dim=1) / math.sqrt(features.shape[1])


class GAN(nn.Module):
    """The two players."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config, spec)
        self.discriminator = Discriminator(config, spec)


def build(config: Config, spec: DataSpec) -> GAN:
    """Return the model with random weights."""
    return GAN(config, spec)


def _linear_generator(width_in: int, widths: tuple[int, ...], spec: DataSpec) -> nn.Sequential:
    """Blocks of linear, batch norm, ReLU; then linear, sigmoid."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(width_in, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        width_in = width
    shape = (spec.channels, spec.height, spec.width)
    return nn.Sequential(*layers, nn.Linear(width_in, math.prod(shape)), nn.Sigmoid(), nn.Unflatten(1, shape))


def _linear_features(width_in: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Blocks of linear, leaky ReLU; batch norm would let an image's score depend on the others' and is no part."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(width_in, width), nn.LeakyReLU(SLOPE)]
        width_in = width
    return nn.Sequential(*layers)
