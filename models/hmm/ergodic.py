"""Forward and backward where every state may follow every other: scaled probabilities (Rabiner 1989, section V.A).

A row's densities are divided by its greatest and the forward variables by their sum, so that each step is one matrix
product. Notation: T rows, N images, S states, and any leading dimensions, such as classes, between T and N.

No transition is impossible, so a state that fits a row far worse than the best one does not matter: whatever path
goes through it, one through the best state is better. Densities below ``exp(FLOOR)`` of the row's best are
therefore raised to it. With transition probabilities of at least e this changes a likelihood by a share of
``exp(FLOOR) / e**2`` at most, which float64 does not see, and nothing ever falls into the slow subnormal numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

FLOOR = -80.0
"""Nats below a row's best density."""


def forward(log_densities: Tensor, start: Tensor, transitions: Tensor) -> Tensor:
    """Return the log-likelihoods [..., N].

    Args:
        log_densities: of each row in each state, [T, ..., N, S].
        start: probabilities of the first state, [..., 1, S].
        transitions: probabilities of the next state (column) after each (row), [..., S, S].
    """
    highest = log_densities.amax(dim=-1, keepdim=True)
    likelihoods = (log_densities - highest).clamp(min=FLOOR).exp()
    reached = start
    totals = []
    for likelihood in likelihoods.unbind():
        joint = reached * likelihood
        totals.append(joint.sum(dim=-1, keepdim=True))
        reached = (joint / totals[-1]) @ transitions
    return (torch.stack(totals).log() + highest).sum(dim=0).squeeze(-1)


def smooth(log_densities: Tensor, start: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the log-likelihoods [N], the states' posteriors [T, N, S], and the expected transitions [S, S].

    Args:
        log_densities: [T, N, S]; its memory is used for other things.
        start: [1, S].
        transitions: [S, S].
    """
    highest = log_densities.amax(dim=-1, keepdim=True)
    likelihoods = log_densities.sub_(highest).clamp_(min=FLOOR).exp_()
    filtered, totals = torch.empty_like(likelihoods), torch.empty_like(highest)
    reached = start
    for row, likelihood in enumerate(likelihoods):
        joint = torch.mul(reached, likelihood, out=filtered[row])
        joint /= torch.sum(joint, dim=-1, keepdim=True, out=totals[row])
        reached = joint @ transitions
    # From here on `likelihoods` turns into what follows: p(all later rows | state) / p(all later rows | earlier rows).
    likelihoods /= totals
    posteriors = filtered.clone()
    for row in range(len(filtered) - 2, -1, -1):
        later = likelihoods[row + 1] @ transitions.T
        likelihoods[row].mul_(later)
        posteriors[row].mul_(later)
    moves = filtered[:-1].flatten(0, 1).T @ likelihoods[1:].flatten(0, 1) * transitions
    return (totals.log() + highest).sum(dim=0).squeeze(-1), posteriors, moves
