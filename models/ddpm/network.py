"""The network: a U-Net that is told the time and the class."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks import denoising, samplers
from models.blocks.diffusion import Schedule
from models.blocks.samplers import Sampler, SamplerName
from models.blocks.unet import TimeEmbedding, UNet
from models.ddpm.config import Config

LARGE = 16
"""Pictures of fewer pixels a side are never taken in patches."""


class Denoiser(nn.Module):
    """``forward`` is what is trained, ``estimate`` says what image is in a mixture; images are in [-1, 1].

    Attributes:
        alpha: float32 [T], how much of the image is in the mixture at each time.
        sigma: float32 [T], how much noise.
        prediction: what it answers, as in the settings.
        unknown: the label that stands for none; None for a model without classes.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.num_classes = config, spec.num_classes
        self.prediction = config.prediction
        self.shape = (spec.channels, spec.height, spec.width)
        self.dim = math.prod(self.shape)
        self.schedule = Schedule(config.schedule, config.times)
        self.register_buffer("alpha", self.schedule.alpha.float(), persistent=False)
        self.register_buffer("sigma", self.schedule.sigma.float(), persistent=False)
        condition = 4 * config.widths[0]
        self.time = TimeEmbedding(condition)
        self.unknown = spec.num_classes if config.conditional else None
        self.label = nn.Embedding(spec.num_classes + 1, condition) if config.conditional else None
        self.unet = UNet(
            spec.channels,
            spec.channels,
            widths=config.widths,
            depth=config.depth,
            condition=condition,
            heads=config.heads,
            attention=config.attention,
            patch=config.patch if min(spec.height, spec.width) >= LARGE else 1,
            dropout=config.dropout,
        )

    def forward(self, mixture: Tensor, times: Tensor, labels: Tensor | None) -> Tensor:
        """Return what ``config.prediction`` names.

        Args:
            mixture: float32 [N, C, H, W].
            times: int64 [N], or [1] for all.
            labels: int64 [N] or [1], ``unknown`` among them; None for a model without classes.
        """
        condition = self.time(times)
        if self.label is not None:
            condition = condition + self.label(labels)
        return self.unet(mixture, condition)

    def estimate(self, mixture: Tensor, time: Tensor, labels: Tensor | None, guidance: float) -> Tensor:
        """Return the image that is thought to be in a mixture, in [-1, 1].

        Args:
            mixture: float32 [N, C, H, W].
            time: int64 [1].
            labels: int64 [N]; None for no class.
            guidance: as in the settings.
        """
        if self.label is None or labels is None:
            answer = self(mixture, time, None if self.label is None else torch.full_like(time, self.unknown))
            return denoising.implied(self, answer, mixture, time).clamp(-1, 1)
        free = torch.full_like(labels, self.unknown)
        return denoising.guided(self, mixture, time, (labels,), (free,), guidance).clamp(-1, 1)

    def sampler(self, name: SamplerName, steps: int) -> Sampler:
        """Return the reverse process of this model's schedule; see :func:`models.blocks.samplers.sampler`."""
        return samplers.sampler(name, self.schedule, steps)


def build(config: Config, spec: DataSpec) -> Denoiser:
    """Return the network with random weights."""
    return Denoiser(config, spec)
