"""Expectation maximisation for one mixture of Gaussians, in whatever precision the data has.

Notation: N examples of D numbers, M components. A covariance is [D, D] (full) or [D] (diagonal); ``scale`` is the
inverse transposed Cholesky factor of it, upper triangular, so that ``(x - mean) @ scale`` is white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from data import at_once

ROWS = 2048
"""Examples computed on at a time at most: bounds the memory, and fits the caches."""
BLOCKS = 4
"""Number of column blocks of a triangular product, which skip nearly half of its zeros."""
NEGLIGIBLE = 1e-12
"""Responsibilities below it do not change a float64 sum: their examples are left out of a covariance."""


@dataclass(frozen=True)
class Prior:
    """What every covariance is pulled to: as if ``strength`` more examples with ``covariance`` had been seen.

    It is an inverse-Wishart density up to its normalisation (Fraley & Raftery 2007): its logarithm, at a
    covariance C, is ``-strength / 2 * (log det C + trace(covariance / C))``.

    Attributes:
        covariance: [D, D] or [D].
        strength: number of pseudo-examples.
    """

    covariance: Tensor
    strength: float

    def log_density(self, scales: Tensor) -> Tensor:
        """Return the logarithm at the covariances that ``scales`` [M, D, D] or [M, D] whiten, summed over them."""
        total = torch.zeros((), dtype=scales.dtype, device=scales.device)
        for scale in scales:
            full = scale.ndim == 2
            trace = ((self.covariance @ scale if full else self.covariance * scale) * scale).sum()
            total += self.strength * (_diagonal(scale).log().sum() - 0.5 * trace)
        return total


@dataclass(frozen=True)
class Mixture:
    """Parameters: ``log_weights`` [M], ``means`` [M, D], ``covariances`` [M, D, D] or [M, D]."""

    log_weights: Tensor
    means: Tensor
    covariances: Tensor

    @cached_property
    def scales(self) -> Tensor:
        """Return the whitening of each component: [M, D, D] upper triangular, or [M, D]."""
        if self.covariances.ndim == 2:
            return self.covariances.rsqrt()
        identity = torch.eye(self.means.shape[1], dtype=self.means.dtype, device=self.means.device)
        factors = torch.linalg.cholesky(self.covariances)
        inverses = [torch.linalg.solve_triangular(factor, identity, upper=False).T for factor in factors]
        return torch.stack(inverses)

    def tensors(self) -> list[Tensor]:
        """Return the parameters in the order of the constructor."""
        return [self.log_weights, self.means, self.covariances]


def log_joint(x: Tensor, mixture: Mixture, noise: float = 0.0) -> Tensor:
    """Return ``log p(x, component)`` [N, M] of ``x`` [N, D], averaged over pixel noise of variance ``noise``.

    With independent noise of mean 0, ``E log N(x + noise)`` is ``log N(x)`` less half the trace of the precision
    times the variance.
    """
    distances = torch.cat([_distances(rows, mixture.means, mixture.scales) for rows in _in_parts(x)])
    return constants(mixture.log_weights, mixture.scales, noise) - 0.5 * distances


def constants(log_weights: Tensor, scales: Tensor, noise: float = 0.0) -> Tensor:
    """Return the part of :func:`log_joint` that does not depend on ``x``, [M]."""
    log_determinants = torch.stack([_diagonal(scale).log().sum() for scale in scales])
    traces = scales.flatten(1).square().sum(dim=1)
    return (
        log_weights + log_determinants - 0.5 * noise * traces - 0.5 * scales.shape[1] * math.log(2 * math.pi)
    )


def e_step(x: Tensor, mixture: Mixture, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return the log-likelihoods [N] and the responsibilities [N, M]."""
    joint = log_joint(x, mixture, noise)
    total = joint.logsumexp(dim=1)
    return total, (joint - total[:, None]).exp()


def m_step(x: Tensor, responsibilities: Tensor, prior: Prior, noise: float = 0.0) -> Mixture:
    """Return the mixture that maximises the expected log-likelihood plus the prior's log-density.

    ``prior.covariance`` has the pixel noise of variance ``noise`` in it; the examples ``x`` do not.
    """
    counts = responsibilities.sum(dim=0) + 10 * torch.finfo(x.dtype).eps
    means = responsibilities.T @ x / counts[:, None]
    covariances = []
    for weight, mean, count in zip(responsibilities.T, means, counts, strict=True):
        rows = (weight > NEGLIGIBLE).nonzero()[:, 0]
        spread = _scatter(x[rows], weight[rows], mean, full=prior.covariance.ndim == 2)
        _diagonal(spread).add_(count * noise)
        covariances.append((spread + prior.strength * prior.covariance) / (count + prior.strength))
    return Mixture((counts / counts.sum()).log(), means, torch.stack(covariances))


def covariance(x: Tensor, full: bool) -> Tensor:
    """Return the covariance of ``x`` [N, D] about its mean: [D, D], or [D] variances."""
    return _scatter(x, torch.ones_like(x[:, 0]), x.mean(dim=0), full) / len(x)


def _distances(x: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """Return the squared Mahalanobis distances [N, M]."""
    if scales.ndim == 2:
        return torch.stack(
            [((x - m) * s).square().sum(dim=1) for m, s in zip(means, scales, strict=True)], dim=1
        )
    columns = []
    for mean, scale in zip(means, scales, strict=True):
        shift = mean @ scale
        distance = torch.zeros_like(x[:, 0])
        for start, stop in _blocks(x.shape[1]):
            white = torch.addmm(shift[start:stop], x[:, :stop], scale[:stop, start:stop], beta=-1)
            distance += torch.linalg.vector_norm(white, dim=1).square()
        columns.append(distance)
    return torch.stack(columns, dim=1)


def _scatter(x: Tensor, weight: Tensor, mean: Tensor, full: bool) -> Tensor:
    """Return the weighted sum of squares about ``mean``: [D, D], or [D] where not ``full``."""
    dim = x.shape[1]
    total = torch.zeros((dim, dim) if full else (dim,), dtype=x.dtype, device=x.device)
    for rows, weights in zip(_in_parts(x), weight.split(_rows(x)), strict=True):
        centred = (rows - mean) * weights.sqrt()[:, None]
        if not full:
            total += centred.square().sum(dim=0)
            continue
        for start, stop in _blocks(dim):
            total[:stop, start:stop] += centred[:, :stop].T @ centred[:, start:stop]
    if full:
        upper = total.triu()
        total = upper + upper.triu(1).T
    return total


def _in_parts(x: Tensor) -> tuple[Tensor, ...]:
    return x.split(_rows(x))


def _rows(x: Tensor) -> int:
    return at_once.pictures(x.shape[1:], ROWS)


def _blocks(dim: int) -> list[tuple[int, int]]:
    size = math.ceil(dim / BLOCKS)
    return [(start, min(start + size, dim)) for start in range(0, dim, size)]


def _diagonal(matrix: Tensor) -> Tensor:
    """Return a view of the diagonal of [D, D]; of [D], which is one, itself."""
    return matrix.diagonal() if matrix.ndim == 2 else matrix
