"""Adversarial training: the discriminator on real and generated images, the generator by the discriminator's word."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data import at_once
from data.prepared import PreparedData
from models.blocks import adversarial, adversarial_loop, draws, noise
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.gan.network import GAN
from models.run import Run

COMPARED = 1000
"""Greatest number of validation images that are compared with as many generated ones; of large ones fewer."""


def fit(model: GAN, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; the generator ends with its averaged weights."""
    config = model.config
    loss = adversarial.LOSSES[config.loss]

    def generate(labels: Tensor) -> Tensor:
        drawn = draws.randn(len(labels), config.latents, generator=run.generator, device=run.device)
        return model.generator(drawn, labels)

    def discriminator_loss(x_bchw: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        def discriminate(images: Tensor) -> Tensor:
            return model.discriminator(images, labels)

        with torch.no_grad():
            fakes = generate(labels)
        real, fake = discriminate(x_bchw), discriminate(fakes)
        value = loss.discriminator(real, fake)
        if config.loss == "wasserstein_gp":
            value = value + config.gradient_penalty * adversarial.slope_penalty(
                discriminate, x_bchw, fakes, run.generator
            )
        elif config.gradient_penalty:
            value = value + config.gradient_penalty * adversarial.r1_penalty(discriminate, x_bchw)
        return value, real, fake

    def generator_loss(x_bchw: Tensor, labels: Tensor) -> Tensor:
        return loss.generator(model.discriminator(generate(labels), labels))

    adversarial_loop.train(model, data, run, discriminator_loss, generator_loss, validate)


@torch.no_grad()
def validate(generator: nn.Module, split: Batches) -> dict[str, float]:
    """Return ``energy_distance`` between generated and validation images, of the same classes and noise each time.

    In pixels, 2 E|x - y| - E|x - x'| - E|y - y'| (Székely & Rizzo 2013): 0 where the two are alike, and it sees a
    collapse. It tells the course of the training; the losses cannot.
    """
    compared = min(len(split), at_once.pictures(split.split.images.shape[1:], COMPARED, 8 * at_once.NUMBERS))
    ((images, labels),) = split.read(torch.arange(compared), compared)
    seed = torch.zeros(1, dtype=torch.int64, device=split.device)
    drawn = noise.normal(seed, len(images), generator.config.latents)
    fake, real = generator(drawn, labels).flatten(1), unit(images).flatten(1)
    between, among_fake, among_real = (
        torch.cdist(a, b).double().sum() for a, b in ((fake, real), (fake, fake), (real, real))
    )
    pairs = len(real) * max(1, len(real) - 1)
    distance = 2 * between / len(real) ** 2 - (among_fake + among_real) / pairs
    return {"energy_distance": float(distance)}
