"""Reverse diffusion: new images from a seed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.blocks import noise, samplers
from models.blocks.condition import asked
from models.blocks.pixels import picture
from models.ddpm.network import Denoiser


class Generator(nn.Module):
    """What is exported of a model without classes: a seed in, that many images out, the whole loop inside."""

    def __init__(self, model: Denoiser) -> None:
        super().__init__()
        self.model = model
        self.steps = model.sampler(model.config.sampler, model.config.steps)

    def forward(self, seed: Tensor, count: Tensor) -> Tensor:
        """Map seed int64 [1] and count int64 [1] to uint8 [count, H, W, C]."""
        return picture(self.draw(seed, noise.as_size(count), None))

    def draw(
        self, seed: Tensor, count: int, labels: Tensor | None, seen: list[Tensor] | None = None
    ) -> Tensor:
        """Return float32 [count, C, H, W] of the classes int64 [count]; None for a model without classes.

        Each mixture on the way, of the same shape, is appended to ``seen``.
        """

        def fresh(number: Tensor, count: int) -> Tensor:
            return noise.normal(seed, count, self.model.dim, stream=number).unflatten(1, self.model.shape)

        def denoise(x: Tensor, time: Tensor) -> Tensor:
            if seen is not None:
                seen.append(x)
            return self.model.estimate(x, time, labels, self.model.config.guidance)

        start = fresh(torch.zeros_like(seed), count)
        return samplers.reverse(self.steps, denoise, lambda number, count: fresh(number + 1, count), start)


class ConditionalGenerator(Generator):
    """What is exported of a model with classes: one can be asked for."""

    def forward(self, seed: Tensor, count: Tensor, label: Tensor) -> Tensor:
        """Map seed, count and label int64 [1] to uint8 [count, H, W, C]; label -1 is every class in turn."""
        size = noise.as_size(count)
        return picture(self.draw(seed, size, asked(label, size, self.model.num_classes)))


def graph(model: Denoiser) -> Generator:
    """Return the module to export."""
    return (ConditionalGenerator if model.config.conditional else Generator)(model).eval()
