"""Training of the variational autoencoder on the evidence lower bound, in bits per dimension."""

from __future__ import annotations

import math

from torch import Tensor, nn

from data.prepared import PreparedData
from models.blocks import draws, held_out, loop
from models.blocks.batches import Batches
from models.run import Run
from models.vae.network import VAE

CHUNK = 500


def fit(model: VAE, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    bits = model.dim * math.log(2)

    def loss(network: nn.Module, x_bchw: Tensor, labels: Tensor) -> Tensor:
        drawn = draws.randn(len(x_bchw), model.config.latents, generator=run.generator, device=run.device)
        return -network(x_bchw, drawn, labels).mean() / bits

    def validate(network: nn.Module, split: Batches) -> dict[str, float]:
        def bounds(x_bchw: Tensor, labels: Tensor, drawn: Tensor, _: Tensor) -> Tensor:
            return network(x_bchw, drawn, labels)

        return {"loss": -held_out.mean(split, model.config.latents, bounds, CHUNK) / bits}

    loop.train(model, data, run, model.config, loss=loss, validate=validate)
