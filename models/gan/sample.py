"""Images out of the generator: new ones from a seed, and a walk from one to another."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.blocks import noise
from models.blocks.condition import asked
from models.blocks.interpolation import spherical
from models.gan.network import GAN

ROWS, STEPS = 8, 10


class Sampler(nn.Module):
    """What is exported: a seed in, that many images out, the noise drawn inside."""

    def __init__(self, model: GAN) -> None:
        super().__init__()
        self.generator = model.generator
        self.latents = model.config.latents

    def forward(self, seed: Tensor, count: Tensor) -> Tensor:
        """Map seed int64 [1] and count int64 [1] to uint8 [count, H, W, C]."""
        return render(self.generator, noise.normal(seed, noise.as_size(count), self.latents))


class ConditionalSampler(Sampler):
    """The same of a conditional model: a class is the third input."""

    def forward(self, seed: Tensor, count: Tensor, label: Tensor) -> Tensor:
        """Map seed, count and label, int64 [1] each, to uint8 [count, H, W, C]; label -1: every class in turn."""
        size = noise.as_size(count)
        z = noise.normal(seed, size, self.latents)
        return render(self.generator, z, asked(label, size, self.generator.num_classes))


def graph(model: GAN) -> Sampler:
    """Return the module to export."""
    return (ConditionalSampler if model.config.conditional else Sampler)(model).eval()


def render(generator: nn.Module, z: Tensor, label: Tensor | None = None) -> Tensor:
    """Map z [N, Z] to uint8 [N, H, W, C]."""
    return torch.round(255 * generator(z, label).permute(0, 2, 3, 1)).to(torch.uint8)


@torch.no_grad()
def interpolate(model: GAN, seed: int) -> np.ndarray:
    """Return uint8 [8, 10, H, W, C]: rows of walks between two noises, each of one class if conditional."""
    device = next(model.parameters()).device
    key = torch.tensor([seed], device=device)
    ends = (noise.normal(key, ROWS, model.config.latents, stream=stream) for stream in (0, 1))
    z = spherical(*ends, STEPS).flatten(0, 1)
    label = None
    if model.config.conditional:
        label = asked(torch.tensor([-1], device=device), ROWS, model.generator.num_classes)
        label = label.repeat_interleave(STEPS)
    return render(model.generator, z, label).unflatten(0, (ROWS, STEPS)).cpu().numpy()
