"""Training of the image-to-image network: the adversarial loss and the L1 distance (Isola et al. 2017, equation 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import adversarial, adversarial_loop
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.pix2pix.network import Pix2Pix
from models.run import Run

CHUNK = 512


def fit(model: Pix2Pix, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on the pairs of ``data.train``; the generator ends with its averaged weights."""
    config = model.config
    loss = adversarial.LOSSES[config.loss]

    def discriminator_loss(x_bchw: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        given = unit(inputs)
        with torch.no_grad():
            made = model.generator(given)
        real, fake = model.discriminator(x_bchw, given), model.discriminator(made, given)
        return 0.5 * loss.discriminator(real, fake), real, fake  # halved, to be slower than the generator

    def generator_loss(x_bchw: Tensor, inputs: Tensor) -> Tensor:
        given = unit(inputs)
        made = model.generator(given)
        distance = functional.l1_loss(made.float(), x_bchw)
        return loss.generator(model.discriminator(made, given)) + config.l1_weight * distance

    adversarial_loop.train(
        model, data, run, discriminator_loss, generator_loss, validate, tensors=("images", "inputs")
    )


@torch.no_grad()
def validate(generator: nn.Module, split: Batches) -> dict[str, float]:
    """Return ``l1``, the mean absolute error on [0, 1] of the translations of ``split``, images and inputs."""
    total = torch.zeros((), dtype=torch.float64, device=split.device)
    for images, inputs in split.in_order(CHUNK):
        total += (generator(unit(inputs)).float() - unit(images)).abs().mean(dim=(1, 2, 3)).sum()
    return {"l1": float(total) / len(split)}
