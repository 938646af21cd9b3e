"""Training of the variational autoencoder on the evidence lower bound, in bits per dimension."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from data.prepared import PreparedData
from models.blocks import loop, noise
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.run import Run
from models.vae.network import VAE

CHUNK = 500


def fit(model: VAE, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    bits = model.dim * math.log(2)

    def loss(network: nn.Module, x_bchw: Tensor, labels: Tensor) -> Tensor:
        drawn = torch.randn(len(x_bchw), model.config.latents, generator=run.generator, device=run.device)
        return -network(x_bchw, drawn, labels).mean() / bits

    @torch.no_grad()
    def validate(network: nn.Module, split: Batches) -> dict[str, float]:
        seed = torch.zeros(1, dtype=torch.int64, device=run.device)  # the same z noise each time: comparable
        total, first = 0.0, 0
        for images, labels in split.read(torch.arange(len(split)), CHUNK):
            drawn = noise.normal(seed, len(images), model.config.latents, first=first)
            total += float(network(unit(images), drawn, labels).double().sum())
            first += len(images)
        return {"loss": -total / len(split) / bits}

    loop.train(model, data, run, model.config, loss=loss, validate=validate)
