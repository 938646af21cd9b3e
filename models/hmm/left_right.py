"""Forward and backward where a state is kept or left for the next one: logarithms, two terms for each state.

Most transitions are impossible here, so a state may fit a row worse than any other and still be the only way on: no
scale suits all states, and logarithms are needed. Notation and arguments as in :mod:`models.hmm.ergodic`.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEVER = -1e30
"""The logarithm of what is impossible; finite, so that sums and differences of it stay numbers."""


def forward(log_densities: Tensor, start: Tensor, transitions: Tensor) -> Tensor:
    """Return the log-likelihoods [..., N] of ``log_densities`` [T, ..., N, S]."""
    stay, go = _logarithms(transitions)
    first, *others = log_densities.unbind()
    joint = first + start.log().clamp(min=NEVER)
    for densities in others:
        joint = _reached(joint, stay, go) + densities
    return joint.logsumexp(dim=-1)


def smooth(log_densities: Tensor, start: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the log-likelihoods [N], the states' posteriors [T, N, S], and the expected transitions [S, S]."""
    stay, go = _logarithms(transitions)
    joint = torch.empty_like(log_densities)
    joint[0] = start.log().clamp(min=NEVER) + log_densities[0]
    for row in range(1, len(joint)):
        joint[row] = _reached(joint[row - 1], stay, go) + log_densities[row]
    totals = joint[-1].logsumexp(dim=-1)
    joint -= totals[:, None]
    posteriors = joint.exp()
    moves = torch.zeros_like(transitions)
    later = torch.zeros_like(joint[-1])
    for row in range(len(joint) - 2, -1, -1):
        following = log_densities[row + 1] + later
        kept, left = following + stay, following[:, 1:] + go[..., :-1]
        moves.diagonal().add_((joint[row] + kept).exp().sum(dim=0))
        moves.diagonal(1).add_((joint[row, :, :-1] + left).exp().sum(dim=0))
        later = torch.cat([torch.logaddexp(kept[:, :-1], left), kept[:, -1:]], dim=1)
        posteriors[row] = (joint[row] + later).exp()
    return totals, posteriors, moves


def _logarithms(transitions: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logarithms of staying and of going on, [..., 1, S] both; the last state goes nowhere."""
    stay = transitions.diagonal(dim1=-2, dim2=-1).log().clamp(min=NEVER)
    go = transitions.diagonal(1, dim1=-2, dim2=-1).log().clamp(min=NEVER)
    return stay[..., None, :], torch.nn.functional.pad(go, (0, 1), value=NEVER)[..., None, :]


def _reached(joint: Tensor, stay: Tensor, go: Tensor) -> Tensor:
    came = torch.nn.functional.pad((joint + go)[..., :-1], (1, 0), value=NEVER)
    return torch.logaddexp(joint + stay, came)
