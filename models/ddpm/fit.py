"""Training of the diffusion model: the simple loss (Ho et al. 2020, equation 14), of the noise or the velocity."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import diffusion, loop, noise
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.ddpm.network import Denoiser
from models.run import Run

CHUNK = 512
GOLDEN = 0.6180339887498949
"""Multiples of the golden ratio, modulo one, fill the unit interval evenly however many there are."""


def fit(model: Denoiser, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    config, generator = model.config, run.generator

    def loss(network: nn.Module, x_bchw: Tensor, labels: Tensor) -> Tensor:
        count = len(x_bchw)
        # One time in each of as many equal spans: the batch's mean varies less (Kingma et al. 2021, appendix I.1).
        first = torch.rand(1, generator=generator, device=run.device)
        spans = (first + torch.arange(count, device=run.device)) / count
        times = (spans * config.times).long().clamp(max=config.times - 1)
        drawn = torch.randn(x_bchw.shape, generator=generator, device=run.device)
        hidden = torch.rand(count, generator=generator, device=run.device) < config.label_dropout
        return _errors(network, x_bchw, labels.masked_fill(hidden, model.num_classes), times, drawn).mean()

    @torch.no_grad()
    def validate(network: nn.Module, split: Batches) -> dict[str, float]:
        seed = torch.zeros(1, dtype=torch.int64, device=run.device)  # the same noise each time: comparable
        total, first = 0.0, 0
        for images, labels in split.read(torch.arange(len(split)), CHUNK):
            place = torch.arange(first, first + len(images), dtype=torch.float64, device=run.device)
            times = (place * GOLDEN % 1 * config.times).long()
            drawn = noise.normal(seed, len(images), model.dim, first=first).unflatten(1, model.shape)
            total += float(_errors(network, unit(images), labels, times, drawn).double().sum())
            first += len(images)
        return {"loss": total / len(split)}

    loop.train(model, data, run, config, loss=loss, validate=validate)


def _errors(network: Denoiser, x_bchw: Tensor, labels: Tensor, times: Tensor, drawn: Tensor) -> Tensor:
    """Return the mean squared error [N] over each image's pixels; ``x_bchw`` in [0, 1]."""
    image = 2 * x_bchw - 1
    alpha, sigma = network.alpha[times, None, None, None], network.sigma[times, None, None, None]
    answer = network(diffusion.diffuse(image, drawn, alpha, sigma), times, labels).float()
    right = diffusion.target(network.config.prediction, image, drawn, alpha, sigma)
    return functional.mse_loss(answer, right, reduction="none").mean(dim=(1, 2, 3))
