"""Training on many people: the adversarial loss and the L1 distance, over faces from a few other pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import adversarial, adversarial_loop
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.head.network import HeadModel
from models.head.shots import Shots
from models.run import Run

CHUNK = 256
TENSORS = ("images", "landmarks", "places")


def fit(model: HeadModel, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on the faces of ``data.train``; the generator ends with its averaged weights."""
    config = model.config
    loss = adversarial.LOSSES[config.loss]
    train, held_out = Shots(data.train, run.device), Shots(data.validation, run.device)

    def draw(landmarks: Tensor, places: Tensor) -> Tensor:
        num = int(torch.randint(config.shots, (), generator=run.generator, device=run.device)) + 1
        return model.generator(landmarks, train.draw(places, num, run.generator))

    def discriminator_loss(
        x_bchw: Tensor, landmarks: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            made = draw(landmarks, places)
        real, fake = model.discriminator(x_bchw, landmarks), model.discriminator(made, landmarks)
        return 0.5 * loss.discriminator(real, fake), real, fake  # halved, to be slower than the generator

    def generator_loss(x_bchw: Tensor, landmarks: Tensor, places: Tensor) -> Tensor:
        made = draw(landmarks, places)
        distance = functional.l1_loss(made.float(), x_bchw)
        return loss.generator(model.discriminator(made, landmarks)) + config.l1_weight * distance

    @torch.no_grad()
    def validate(generator: nn.Module, split: Batches) -> dict[str, float]:
        total = torch.zeros((), dtype=torch.float64, device=split.device)
        same = torch.Generator(split.device).manual_seed(0)  # the same shots each time: comparable
        for images, landmarks, places in split.in_order(CHUNK):
            made = generator(landmarks, held_out.draw(places, config.shots, same))
            total += (made.float() - unit(images)).abs().mean(dim=(1, 2, 3)).sum()
        return {"l1": float(total) / len(split)}

    adversarial_loop.train(model, data, run, discriminator_loss, generator_loss, validate, tensors=TENSORS)
