"""The networks together: autoencoder, text encoder, and the U-Net that denoises latents."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from data.captions import PADDING
from data.prepared import DataSpec
from models.blocks import denoising, samplers
from models.blocks.diffusion import Schedule
from models.blocks.samplers import Sampler
from models.blocks.unet import TimeEmbedding, UNet
from models.text_to_image.autoencoder import Autoencoder
from models.text_to_image.config import Config
from models.text_to_image.words import TextEncoder

Told = tuple[Tensor, ...]
"""Words float [N, 1 + L, D] and which of them are none, bool [N, 1 + L]; what else ``forward`` takes comes after."""


class LatentDiffusion(nn.Module):
    """``forward`` is what is trained, ``estimate`` says what latent is in a mixture.

    What is diffused has variance 1 over all numbers of all latents (Rombach et al. 2022, appendix G), so that the
    schedule's noise is as strong as it says.

    Attributes:
        shape: numbers of a place, rows, columns of a latent.
        scale: float32 [1], the standard deviation of the autoencoder's latents.
        alpha: float32 [T], how much of the latent is in the mixture at each time.
        sigma: float32 [T], how much noise.
        prediction: what ``forward`` answers, as in the settings.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.spec, self.prediction = config, spec, config.prediction
        self.autoencoder = Autoencoder(config, spec)
        self.shape = self.autoencoder.shape
        self.dim = math.prod(self.shape)
        self.register_buffer("scale", torch.ones(1))
        self.schedule = Schedule(config.schedule, config.times)
        self.register_buffer("alpha", self.schedule.alpha.float(), persistent=False)
        self.register_buffer("sigma", self.schedule.sigma.float(), persistent=False)
        text = (config.text_width, config.text_heads, config.text_depth)
        self.text = TextEncoder(len(spec.words), spec.longest_caption, *text)
        condition = 4 * config.widths[0]
        self.time = TimeEmbedding(condition)
        self.whole = nn.Linear(config.text_width, condition)
        self.unet = UNet(
            config.latents,
            config.latents,
            widths=config.widths,
            depth=config.depth,
            condition=condition,
            heads=config.heads,
            attention=config.attention,
            dropout=config.dropout,
            memory=config.text_width,
        )

    def encode(self, x_bchw: Tensor) -> Tensor:
        """Map images [N, C, H, W] in [0, 1] to latents [N, Z, h, w] of variance 1."""
        return self.autoencoder.encode(2 * x_bchw - 1)[0] / self.scale

    def decode(self, latent: Tensor) -> Tensor:
        """Map latents [N, Z, h, w] as ``encode`` gives them to images [N, C, H, W] in [-1, 1] and a little beyond."""
        return self.autoencoder.decode(latent * self.scale)

    def forward(self, mixture: Tensor, times: Tensor, words: Tensor, padding: Tensor) -> Tensor:
        """Return what ``config.prediction`` names.

        Args:
            mixture: float32 [N, Z, h, w].
            times: int64 [N], or [1] for all.
            words: float [N, 1 + L, D], from ``text``.
            padding: bool [N, 1 + L], from ``text``.
        """
        return self.unet(mixture, self.time(times) + self.whole(gist(words, padding)), words, padding)

    def estimate(self, mixture: Tensor, time: Tensor, asked: Told, free: Told) -> Tensor:
        """Return the latent that is thought to be in ``mixture`` [N, Z, h, w] at ``time`` int64 [1].

        Args:
            mixture: the mixture.
            time: int64 [1].
            asked: what :meth:`told` gives of the captions.
            free: what it gives of none.
        """
        return denoising.guided(self, mixture, time, asked, free, self.config.guidance)

    def told(self, tokens: Tensor) -> tuple[Told, Told]:
        """Return what ``estimate`` is to be told of captions int64 [N, L], and what of none."""
        return self.text(tokens), self.text(torch.full_like(tokens, PADDING))

    def sampler(self) -> Sampler:
        """Return the reverse process of the settings; see :func:`models.blocks.samplers.sampler`."""
        return samplers.sampler(self.config.sampler, self.schedule, self.config.steps)


def gist(words: Tensor, padding: Tensor) -> Tensor:
    """Return the sum of a caption's words [N, D] over the root of their number: as large of many words as of few.

    It goes where a model of classes has its class, beside the time (Nichol et al. 2022, "GLIDE", section 2.3). What is
    in the picture is soon learned so; which word belongs to which place, only by cross-attention.
    """
    missing = padding[:, :, None]
    count = (~missing).sum(dim=1)
    return words.masked_fill(missing, 0).sum(dim=1) / count.sqrt()


def build(config: Config, spec: DataSpec) -> LatentDiffusion:
    """Return the networks with random weights."""
    return LatentDiffusion(config, spec)
