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
        self.decoder = _stack(
            config.latents + embedded,
            config.width,
            3 * config.mixture * self.dim,
            config.depth,
            config.dropout,
        )
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


def build(config: Config, spec: DataSpec) -> VAE:
    """Return the model with random weights."""
    return VAE(config, spec)


def _stack(width_in: int, width: int, width_out: int, depth: int, dropout: float) -> nn.Sequential:
    layers = [Layer(width, dropout) for _ in range(depth)]
    last = nn.Linear(width, width_out)
    with torch.no_grad():
        last.weight.mul_(0.1)  # start near the prior and near flat pixels
    return nn.Sequential(nn.Linear(width_in, width), *layers, nn.LayerNorm(width), nn.SiLU(), last)
