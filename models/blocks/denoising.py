"""What diffusion models do with their network: the times that it is trained at, its error, guidance.

What is diffused is called an image here; it may be the latent of one.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from models.blocks import diffusion, draws
from models.blocks.diffusion import Prediction

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
    device, times = image.device, len(network.alpha)
    first = torch.rand(1, generator=generator, device=device)
    places, count = draws.places(len(image), device)
    spans = (first + places) / count
    noised = draws.randn(*image.shape, generator=generator, device=device)
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
    mixture, right = task(network, image, times, noised)
    return distance(network(mixture, times, *condition), right)


def task(network: Network, image: Tensor, times: Tensor, noised: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the network is shown of an image, and the right answer, [N, C, H, W] each; as of :func:`errors`."""
    alpha, sigma = mixing(network, times)
    mixture = diffusion.diffuse(image, noised, alpha, sigma)
    return mixture, diffusion.target(network.prediction, image, noised, alpha, sigma)


def distance(answer: Tensor, right: Tensor) -> Tensor:
    """Return the mean squared difference [N] of an answer and the right one, [N, C, H, W] each."""
    return (answer.float() - right).square().mean(dim=(1, 2, 3))


def even(places: Tensor, times: int) -> Tensor:
    """Return the time that each image of a held-out split is measured at, int64 [N], by its place int64 [N]."""
    return (places.double() * GOLDEN % 1 * times).long()


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
