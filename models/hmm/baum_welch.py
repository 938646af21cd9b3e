"""Baum-Welch (Baum et al. 1970) for one chain with diagonal Gaussian emissions, in the precision of the chain.

Notation: N images of T rows of D numbers, S states. Rows lie first, [T, N, D]: a step of the recursions over the rows
then reads one block of memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.hmm import ergodic, left_right

TOPOLOGIES = {"ergodic": ergodic, "left_right": left_right}


@dataclass(frozen=True)
class Chain:
    """Parameters: ``start`` [S], ``transitions`` [S, S], ``means`` [S, D], ``variances`` [S, D]."""

    start: Tensor
    transitions: Tensor
    means: Tensor
    variances: Tensor

    def tensors(self) -> list[Tensor]:
        """Return the parameters in the order of the constructor."""
        return [self.start, self.transitions, self.means, self.variances]


@dataclass(frozen=True)
class Prior:
    """What every chain is pulled to.

    Attributes:
        variances: [D]; each state has seen ``strength`` more rows with these variances about its mean.
        strength: number of pseudo-rows (an inverse gamma density, as in Fraley & Raftery 2007).
        smoothing: number of pseudo-transitions of each kind that the topology allows (a Dirichlet density).
    """

    variances: Tensor
    strength: float
    smoothing: float

    def log_density(self, chain: Chain) -> Tensor:
        """Return the logarithm at ``chain``; for its variances, what it falls short of the highest there is."""
        ratios = self.variances / chain.variances
        spread = 0.5 * self.strength * (ratios.log() - ratios + 1).sum()
        allowed = [probabilities[probabilities > 0] for probabilities in (chain.start, chain.transitions)]
        return spread + self.smoothing * sum(probabilities.log().sum() for probabilities in allowed)


@dataclass(frozen=True)
class Statistics:
    """Expected counts: of first states [S], transitions [S, S] and states [S], and sums of ``x, x**2`` [S, 2D]."""

    start: Tensor
    transitions: Tensor
    occupancy: Tensor
    sums: Tensor

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.start + other.start,
            self.transitions + other.transitions,
            self.occupancy + other.occupancy,
            self.sums + other.sums,
        )


def log_densities(features: Tensor, chain: Chain, noise: float = 0.0) -> Tensor:
    """Return the log-densities [T, N, S] of rows given as ``features`` [T, N, 2D], averaged over pixel noise.

    With independent noise of mean 0 and variance ``noise``, ``E log N(x + noise)`` is ``log N(x)`` less half the sum
    of ``noise / variance``. The square is multiplied out, which makes one matrix product of it: for float64.
    """
    precisions = chain.variances.reciprocal()
    weights = torch.cat([chain.means * precisions, -0.5 * precisions], dim=1)
    constants = -0.5 * pixel_normaliser(chain.means.square() * precisions, chain.variances, noise).sum(dim=1)
    return torch.addmm(constants, features.flatten(0, 1), weights.T).unflatten(0, features.shape[:2])


def pixel_normaliser(offsets: Tensor, variances: Tensor, noise: float) -> Tensor:
    """Return what each pixel takes from twice a log-density: ``offsets + log(2 pi variance) + noise / variance``."""
    return offsets + (2 * math.pi * variances).log() + noise / variances


def features(x: Tensor) -> Tensor:
    """Return ``x, x**2`` [T, N, 2D] of rows [T, N, D]."""
    return torch.cat([x, x.square()], dim=-1)


def e_step(
    chunks: Iterable[Tensor], chain: Chain, topology: str, noise: float = 0.0
) -> tuple[Tensor, Statistics]:
    """Return the log-likelihoods [N] and the expected counts of images given in ``chunks`` [T, n, D]."""
    likelihoods, total = [], None
    for x in chunks:
        both = features(x)
        densities = log_densities(both, chain, noise)
        likelihood, posteriors, moves = TOPOLOGIES[topology].smooth(
            densities, chain.start[None], chain.transitions
        )
        states = posteriors.flatten(0, 1)
        sums = states.T @ both.flatten(0, 1)
        counts = Statistics(posteriors[0].sum(dim=0), moves, states.sum(dim=0), sums)
        total = counts if total is None else total + counts
        likelihoods.append(likelihood)
    return torch.cat(likelihoods), total


def m_step(counts: Statistics, before: Chain, prior: Prior, noise: float = 0.0) -> Chain:
    """Return the chain that maximises the expected log-likelihood plus the prior's log-density.

    What ``before`` makes impossible stays so, and a state that no row is in stays what it was. ``prior.variances`` has
    the pixel noise of variance ``noise`` in it; the rows do not.
    """
    seen = counts.occupancy[:, None]
    rows = seen.clamp(min=torch.finfo(seen.dtype).tiny)
    first, second = counts.sums.chunk(2, dim=1)
    means = torch.where(seen > 0, first / rows, before.means)
    scatter = (second - means * (2 * first - means * seen)).clamp(min=0)
    pulled = scatter + seen * noise + prior.strength * prior.variances
    variances = torch.where(seen > 0, pulled / (rows + prior.strength), before.variances)
    return Chain(
        _shares(counts.start, before.start, prior.smoothing),
        _shares(counts.transitions, before.transitions, prior.smoothing),
        means,
        variances,
    )


def _shares(counts: Tensor, before: Tensor, smoothing: float) -> Tensor:
    smoothed = torch.where(before > 0, counts + smoothing, 0)
    return smoothed / smoothed.sum(dim=-1, keepdim=True)
