"""Losses of adversarial training (Goodfellow et al. 2014), by their names, and penalties on the discriminator.

Scores are the discriminator's raw outputs [N], or [N, H, W] of one that scores patches: the higher, the more real.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from models import ranks
from models.blocks import draws

LossName = Literal["non_saturating", "hinge", "wasserstein_gp"]


@dataclass(frozen=True)
class AdversarialLoss:
    """What each of the two minimises.

    Attributes:
        discriminator: (scores of real images, scores of generated ones) -> scalar.
        generator: scores of generated images -> scalar.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


LOSSES: dict[str, AdversarialLoss] = {
    # Cross-entropy of real -> 1, fake -> 0; the generator wants fake -> 1 (Goodfellow et al. 2014, section 3).
    "non_saturating": AdversarialLoss(
        lambda real, fake: functional.softplus(-real).mean() + functional.softplus(fake).mean(),
        lambda fake: functional.softplus(-fake).mean(),
    ),
    # Lim & Ye 2017, "Geometric GAN"; Miyato et al. 2018, equations 16 and 17.
    "hinge": AdversarialLoss(
        lambda real, fake: functional.relu(1 - real).mean() + functional.relu(1 + fake).mean(),
        lambda fake: -fake.mean(),
    ),
    # Arjovsky et al. 2017; holds only with the penalty that keeps the critic's slope near 1.
    "wasserstein_gp": AdversarialLoss(
        lambda real, fake: fake.mean() - real.mean(),
        lambda fake: -fake.mean(),
    ),
}


def r1_penalty(discriminate: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Return half the mean squared norm of the scores' gradient at ``real`` [N, ...] (Mescheder et al. 2018, eq. 9)."""
    return 0.5 * _gradient(discriminate, real).square().sum(dim=1).mean()


def slope_penalty(
    discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, generator: torch.Generator
) -> Tensor:
    """Return the mean of (|gradient| - 1)^2 somewhere between real and fake images (Gulrajani et al. 2017, eq. 3)."""
    drawn = draws.rand(len(real), generator=generator, device=real.device)
    share = drawn.view(-1, *[1] * (real.ndim - 1))
    slopes = _gradient(discriminate, share * real + (1 - share) * fake).square().sum(dim=1).sqrt()
    return (slopes - 1).square().mean()


def told_apart(name: LossName, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return the shares of ``real`` and of ``fake`` scores that lie on their own side, float32 scalars.

    The sides meet at 0; a Wasserstein critic has no zero, so there they meet half-way between the two means.
    """
    middle = (_mean(real) + _mean(fake)) / 2 if name == "wasserstein_gp" else 0.0
    return (real > middle).float().mean(), (fake < middle).float().mean()


def _mean(scores: Tensor) -> Tensor:
    """Return the mean over all ranks."""
    if ranks.count() == 1:
        return scores.mean()
    return ranks.total(scores.sum()) / ranks.total(torch.full_like(scores.sum(), scores.numel()))


def _gradient(discriminate: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the gradient [N, D] of each image's score, itself differentiable."""
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminate(images).sum(), images, create_graph=True)
    return gradient.flatten(1)
