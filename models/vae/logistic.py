"""Probabilities of discrete levels by a mixture of logistic distributions (Salimans et al. 2017, section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

FLATTEST, SHARPEST = 2.0, -9.0
"""Bounds of the log-scale, in units of the whole range of a pixel."""


@dataclass(frozen=True)
class Mixture:
    """For each pixel, the logarithms of weights, the means and the log-scales, [..., M, D] each.

    A pixel's range is [0, 1]. Level ``k`` of ``L`` has the probability of the interval of width ``1 / (L - 1)``
    around ``k / (L - 1)``; the first and the last one have all that is beyond them, so that they sum to one.
    """

    log_weights: Tensor
    means: Tensor
    log_scales: Tensor

    @classmethod
    def from_network(cls, weights: Tensor, means: Tensor, scales: Tensor) -> Mixture:
        """Build from a network's raw outputs; zeros mean flat and centred."""
        num = means.shape[-2]
        # Apart at the start, or all would learn the same.
        spread = torch.linspace(-0.5, 0.5, num, device=means.device)[:, None] if num > 1 else 0.0
        log_scales = (scales - 2.0).clamp(SHARPEST, FLATTEST)
        return cls(weights.log_softmax(dim=-2), means + 0.5 + spread, log_scales)

    def log_probability(self, k: Tensor, levels: int) -> Tensor:
        """Return log p(k) [..., D] of int64 levels ``k`` that broadcast to [..., D]."""
        half = 0.5 / (levels - 1)
        k = k.unsqueeze(-2)
        centred = k / (levels - 1) - self.means
        inverse = torch.exp(-self.log_scales)
        above, below = inverse * (centred + half), inverse * (centred - half)
        # log(sigmoid(a) - sigmoid(b)) = log sigmoid(a) + log sigmoid(-b) + log(1 - exp(b - a)): no cancellation.
        inside = (
            functional.logsigmoid(above)
            + functional.logsigmoid(-below)
            + torch.log(-torch.expm1(below - above))
        )
        log_mass = torch.where(k == 0, functional.logsigmoid(above), inside)
        log_mass = torch.where(k == levels - 1, functional.logsigmoid(-below), log_mass)
        return torch.logsumexp(self.log_weights + log_mass, dim=-2)

    def mean(self) -> Tensor:
        """Return the expected pixel [..., D] in [0, 1], each logistic taken at its middle."""
        return (self.log_weights.exp() * self.means.clamp(0, 1)).sum(dim=-2)
