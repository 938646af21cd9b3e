"""Training of the diffusion model: the simple loss (Ho et al. 2020, equation 14), of the noise or the velocity."""

from __future__ import annotations

from torch import Tensor

from data.prepared import PreparedData
from models.blocks import denoising, draws, held_out, loop
from models.blocks.batches import Batches
from models.ddpm.network import Denoiser
from models.run import Run


def fit(model: Denoiser, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    config, generator = model.config, run.generator

    def loss(network: Denoiser, x_bchw: Tensor, labels: Tensor) -> Tensor:
        image = 2 * x_bchw - 1
        times, noised = denoising.draw(network, image, generator)
        hidden = draws.rand(len(image), generator=generator, device=run.device) < config.label_dropout
        labels = labels.masked_fill(hidden, model.num_classes)
        return denoising.errors(network, image, times, noised, labels).mean()

    def validate(network: Denoiser, split: Batches) -> dict[str, float]:
        def losses(x_bchw: Tensor, labels: Tensor, drawn: Tensor, places: Tensor) -> Tensor:
            times, noised = denoising.even(places, config.times), drawn.unflatten(1, network.shape)
            return denoising.errors(network, 2 * x_bchw - 1, times, noised, labels)

        return {"loss": held_out.mean(split, network.dim, losses)}

    loop.train(model, data, run, config, loss=loss, validate=validate)
