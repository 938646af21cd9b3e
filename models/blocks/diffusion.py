"""Forward diffusion: how an image is mixed with noise, step by step, and what a network is asked of the mixture.

Noising is ``q(x_t | x_0) = N(alpha_t x_0, sigma_t^2)`` with ``alpha_t^2 + sigma_t^2 = 1``: at time 0 nearly the image,
at the last time nearly noise alone (Ho et al. 2020, "Denoising Diffusion Probabilistic Models", equation 4).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

ScheduleName = Literal["linear", "cosine"]
Prediction = Literal["epsilon", "v"]


class Schedule:
    """How much signal and noise there is at each of ``times`` times.

    Attributes:
        alpha_bar: float64 [T], the share of the signal's variance at each time, falling; the papers' cumulated product.
    """

    def __init__(self, name: ScheduleName, times: int) -> None:
        """Make a schedule.

        Args:
            name: ``linear``: the variance of the noise that a step adds rises linearly, 1e-4 to 0.02 over 1000 steps
                (Ho et al. 2020, section 4), in proportion for another number. ``cosine``: ``alpha_bar`` falls on a
                squared cosine (Nichol & Dhariwal 2021, equation 17), which spends less time near pure noise.
            times: how many times there are.
        """
        beta = _linear(times) if name == "linear" else _cosine(times)
        self.alpha_bar = (1 - beta).cumprod(0)

    def __len__(self) -> int:
        return len(self.alpha_bar)

    @property
    def alpha(self) -> Tensor:
        """Float64 [T]: what the image is multiplied by."""
        return self.alpha_bar.sqrt()

    @property
    def sigma(self) -> Tensor:
        """Float64 [T]: what standard normal noise is multiplied by."""
        return (1 - self.alpha_bar).sqrt()


def diffuse(image: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return ``x_t``, the mixture of an image and standard normal noise; all arguments broadcast."""
    return alpha * image + sigma * noise


def target(prediction: Prediction, image: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return what the network is to answer for ``diffuse(image, noise, alpha, sigma)``.

    ``epsilon``: the noise (Ho et al. 2020, equation 14). ``v``: the velocity ``alpha noise - sigma image`` (Salimans &
    Ho 2022, section 4), which stays well-defined where there is noise alone. All arguments broadcast.
    """
    return noise if prediction == "epsilon" else alpha * noise - sigma * image


def clean(prediction: Prediction, answer: Tensor, mixture: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return the image that the network's ``answer`` for ``mixture`` implies; the inverse of :func:`target`."""
    if prediction == "epsilon":
        return (mixture - sigma * answer) / alpha
    return alpha * mixture - sigma * answer


def _linear(times: int) -> Tensor:
    """Return the variance float64 [T] that each step adds."""
    scale = 1000 / times
    return torch.linspace(1e-4 * scale, 0.02 * scale, times, dtype=torch.float64).clamp(max=0.999)


def _cosine(times: int) -> Tensor:
    """Return the variance float64 [T] that each step adds, at most 0.999 as in the paper."""
    edges = torch.linspace(0, 1, times + 1, dtype=torch.float64)
    left = torch.cos((edges + 0.008) / 1.008 * math.pi / 2).square()
    return (1 - left[1:] / left[:-1]).clamp(max=0.999)
