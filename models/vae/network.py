"""Encoder and decoder: residual layers of fully connected units."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks.dropout import Dropout
from models.blocks.gaussian import divergence
from models.blocks.pixels import Standardise, level
from models.vae import logistic
from models.vae.config import Config

WEIGHTS = 2**25
"""Of the decoder's last layer, from each unit to each number of each pixel: where there were more, it draws patches."""
PATCH, CODE = 8, 64
"""Pixels a side of a patch, and numbers that it is drawn from."""


class Layer(nn.Module):
    """``x + W2 silu(W1 norm(x))``."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.SiLU(),
            Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, width] to [N, width]."""
        return x + self.residual(x)


class VAE(nn.Module):
    """``encode`` gives q(z | x), ``decode`` p(x | z), ``forward`` the evidence lower bound.

    A conditional model has all three given the class ``label`` (Sohn et al. 2015), int64 that broadcasts to the
    images; its embedding is appended to what the two networks read. Others ignore it.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.levels, self.shape = config, spec.levels, (spec.channels, spec.height, spec.width)
        self.dim = math.prod(spec.shape)
        self.num_classes = spec.num_classes if config.conditional else 0
        embedded = config.latents if config.conditional else 0
        self.standardise = Standardise(spec)
        self.encoder = _stack(
            self.dim + embedded, config.width, 2 * config.latents, config.depth, config.dropout
        )
        parameters = 3 * config.mixture
        self.decoder = _stack(
            config.latents + embedded,
            config.width,
            parameters * self.dim,
            config.depth,
            config.dropout,
        )
        if config.width * parameters * self.dim > WEIGHTS:
            self.decoder[-1] = Patches(config.width, parameters, self.shape)
        self.embedding = nn.Embedding(spec.num_classes, embedded) if config.conditional else None

    def encode(self, x_bchw: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map [N, C, H, W] in [0, 1] to mean and log-variance of q(z | x), [N, Z] each."""
        read = self._told(self.standardise(x_bchw).flatten(1), label)
        mean, log_variance = self.encoder(read).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 12)  # beyond it, exp overflows in the first steps

    def decode(self, z: Tensor, label: Tensor | None = None) -> logistic.Mixture:
        """Map z [..., Z] to the distribution of each pixel, of shape [..., D] in the order C, H, W."""
        parts = self.decoder(self._told(z, label)).float().unflatten(-1, (3, self.config.mixture, self.dim))
        return logistic.Mixture.from_network(*parts.unbind(dim=-3))

    def forward(self, x_bchw: Tensor, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the evidence lower bound [N] in nats; standard normal ``noise`` [N, Z] draws one z an image."""
        mean, log_variance = self.encode(x_bchw, label)
        z = mean + (0.5 * log_variance).exp() * noise
        k = level(x_bchw, self.levels).flatten(1)
        return self.decode(z, label).log_probability(k, self.levels).sum(dim=1) - divergence(
            mean, log_variance
        )

    def _told(self, values: Tensor, label: Tensor | None) -> Tensor:
        """Append the class's embedding to ``values`` [..., n] in a conditional model."""
        if self.embedding is None:
            return values
        embedded = self.embedding(label)
        return torch.cat([values, embedded.expand(*values.shape[:-1], embedded.shape[-1])], dim=-1)


class Patches(nn.Module):
    """The decoder's last layer for large pictures: a code for each patch, and one matrix that draws all patches.

    Its weights grow with the patches, not with ``width`` times the pixels: at 224 x 224 10 million in place of 260.
    """

    def __init__(self, width: int, parameters: int, shape: tuple[int, int, int]) -> None:
        """Map [..., width] to ``parameters`` numbers for each number of a picture of ``shape`` (C, H, W)."""
        super().__init__()
        self.shape, self.parameters = shape, parameters
        channels, *sides = shape
        self.rows, self.columns = (math.ceil(side / PATCH) for side in sides)
        self.codes = nn.Linear(width, self.rows * self.columns * CODE)
        self.draw = nn.Linear(CODE, parameters * channels * PATCH**2)
        with torch.no_grad():
            self.draw.weight.mul_(0.1)  # as of the layer in whose place it is

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., width] to [..., parameters * C * H * W], the parameters first."""
        channels, height, width = self.shape
        patches = self.draw(self.codes(x).unflatten(-1, (self.rows, self.columns, CODE)))
        drawn = patches.unflatten(-1, (self.parameters * channels, PATCH, PATCH))  # [..., R, S, PC, 8, 8]
        whole = drawn.movedim(-3, -5).transpose(-3, -2).flatten(-4, -3).flatten(-2)  # [..., PC, 8 R, 8 S]
        return whole[..., :height, :width].flatten(-3)


def build(config: Config, spec: DataSpec) -> VAE:
    """Return the model with random weights."""
    return VAE(config, spec)


def _stack(width_in: int, width: int, width_out: int, depth: int, dropout: float) -> nn.Sequential:
    layers = [Layer(width, dropout) for _ in range(depth)]
    last = nn.Linear(width, width_out)
    with torch.no_grad():
        last.weight.mul_(0.1)  # start near the prior and near flat pixels
    return nn.Sequential(nn.Linear(width_in, width), *layers, nn.LayerNorm(width), nn.SiLU(), last)
