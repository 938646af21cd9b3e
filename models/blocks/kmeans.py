"""k-means from k-means++ seeds (Arthur & Vassilvitskii 2007): where expectation maximisation starts."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

ROUNDS = 10
"""Lloyd iterations: EM takes over long before k-means has settled."""


def assign(x: Tensor, num_clusters: int, generator: Generator) -> Tensor:
    """Return hard assignments [N, M] of ``x`` [N, D] to clusters, none of them empty, as ones and zeros."""
    centres = _seeds(x, num_clusters, generator)
    for _ in range(ROUNDS):
        nearest = torch.cdist(x, centres).argmin(dim=1)
        assigned = torch.nn.functional.one_hot(nearest, num_clusters).to(x.dtype)
        counts = assigned.sum(dim=0)
        # A cluster that lost all its examples stays where it was.
        centres = torch.where(counts[:, None] > 0, assigned.T @ x / counts.clamp(min=1)[:, None], centres)
    return assigned


def _seeds(x: Tensor, num_clusters: int, generator: Generator) -> Tensor:
    """Draw centres from the examples, each with a probability in proportion to its squared distance to the others."""
    distance = torch.ones_like(x[:, 0])
    chosen = []
    for number in range(num_clusters):
        # The largest log-weight plus Gumbel noise is a draw in proportion to the weights.
        uniform = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype)
        index = (distance.log() - (-uniform.log()).log()).argmax()
        chosen.append(x[index])
        to_last = (x - x[index]).square().sum(dim=1)
        distance = torch.minimum(distance, to_last) if number else to_last
    return torch.stack(chosen)
