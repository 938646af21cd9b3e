"""What diffusion models do with their network: the times that it is trained at, its error, guidance.

What is diffused is called an image here; it may be the latent of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from models.blocks import diffusion, noise
from models.blocks.batches import Batches
from models.blocks.diffusion import Prediction
from models.blocks.pixels import unit

CHUNK = 512
GOLDEN = 0.6180339887498949
"""Multiples of the golden ratio, modulo one, fill the unit interval evenly however many there are."""


class Network(Protocol):
    """Is asked what is noise in a mixture.

    Attributes:
        alpha: float32 [T], how much of the image is in the mixture at each time.
        sigma: float32 [T], how much noise.
        prediction: what it answers.
    """

    alpha: Tensor
    sigma: Tensor
    prediction: Prediction

    def __call__(self, mixture: Tensor, times: Tensor, *condition: Tensor | None) -> Tensor:
        """Answer for ``mixture`` [N, C, H, W] at ``times`` int64 [N] or [1], in the mixture's shape."""
        ...


def draw(network: Network, image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return what a step trains at: times int64 [N] and noise of the shape of ``image`` [N, C, H, W].

    One time in each of as many equal spans: the batch's mean varies less (Kingma et al. 2021, appendix I.1).
    """
    count, device, times = len(image), image.device, len(network.alpha)
    first = torch.rand(1, generator=generator, device=device)
    spans = (first + torch.arange(count, device=device)) / count
    noised = torch.randn(image.shape, generator=generator, device=device)
    return (spans * times).long().clamp(max=times - 1), noised


def errors(
    network: Network, image: Tensor, times: Tensor, noised: Tensor, *condition: Tensor | None
) -> Tensor:
    """Return the mean squared error [N] of the answer (Ho et al. 2020, equation 14), over each image's numbers.

    Args:
        network: the network.
        image: float32 [N, C, H, W].
        times: int64 [N].
        noised: standard normal noise of the image's shape.
        condition: what else the network is told.
    """
    alpha, sigma = mixing(network, times)
    answer = network(diffusion.diffuse(image, noised, alpha, sigma), times, *condition).float()
    right = diffusion.target(network.prediction, image, noised, alpha, sigma)
    return (answer - right).square().mean(dim=(1, 2, 3))


@torch.no_grad()
def validate(
    network: Network,
    split: Batches,
    shape: tuple[int, int, int],
    errors_of: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
) -> dict[str, float]:
    """Return the mean error on a split as ``loss``, always at the same times and with the same noise: comparable.

    Args:
        network: the network.
        split: gives images and what belongs to each.
        shape: channels, height, width of what is diffused.
        errors_of: (images in [0, 1], what belongs to them, times, noise) -> [N], as :func:`errors`.
    """
    device = network.alpha.device
    seed = torch.zeros(1, dtype=torch.int64, device=device)
    total, first = 0.0, 0
    for images, belonging in split.read(torch.arange(len(split)), CHUNK):
        place = torch.arange(first, first + len(images), dtype=torch.float64, device=device)
        times = (place * GOLDEN % 1 * len(network.alpha)).long()
        noised = noise.normal(seed, len(images), math.prod(shape), first=first).unflatten(1, shape)
        total += float(errors_of(unit(images), belonging, times, noised).double().sum())
        first += len(images)
    return {"loss": total / len(split)}


def guided(
    network: Network,
    mixture: Tensor,
    time: Tensor,
    asked: tuple[Tensor, ...],
    free: tuple[Tensor, ...],
    guidance: float,
) -> Tensor:
    """Return the image that is thought to be in ``mixture`` [N, C, H, W], by guidance without a classifier.

    Args:
        network: the network.
        mixture: float32 [N, C, H, W].
        time: int64 [1].
        asked: the condition that is asked for, N rows each.
        free: the one that stands for none.
        guidance: how far to go from the answer for ``free`` towards that for ``asked``; 1 is just the latter, in half
            the time (Ho & Salimans 2022, equation 6, with ``1 + w`` for it).
    """
    if guidance == 1:
        answer = network(mixture, time, *asked)
    else:
        both = (torch.cat(pair) for pair in zip(asked, free, strict=True))
        with_it, without = network(torch.cat([mixture, mixture]), time, *both).unflatten(0, (2, -1)).unbind()
        answer = without + guidance * (with_it - without)
    return implied(network, answer, mixture, time)


def implied(network: Network, answer: Tensor, mixture: Tensor, times: Tensor) -> Tensor:
    """Return the image that the network's ``answer`` for ``mixture`` at ``times`` implies."""
    return diffusion.clean(network.prediction, answer, mixture, *mixing(network, times))


def mixing(network: Network, times: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much image and how much noise there is at ``times``, [N, 1, 1, 1] each."""
    return network.alpha[times, None, None, None], network.sigma[times, None, None, None]
