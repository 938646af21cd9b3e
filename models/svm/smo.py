"""Sequential minimal optimisation of small problems, side by side (Platt 1998).

Two multipliers of each problem are brought to their joint optimum at a time: the pair that promises the largest gain by
second-order information (Fan, Chen & Lin 2005, working set selection 2), as LIBSVM does.
"""

from __future__ import annotations

import torch
from torch import Tensor

LOOK = 32
"""Pairs between two looks at which problems are solved."""
LEAST_CURVATURE = 1e-12
"""In place of the curvature along a pair of equal images, which is 0."""


def solve(
    gram: Tensor, beta: Tensor, slope: Tensor, low: Tensor, high: Tensor, limit: Tensor, most: int
) -> Tensor:
    """Return multipliers near the maximum of ``beta.y - 0.5 * beta.gram.beta``, their sum kept, within bounds.

    Args:
        gram: [A, Q, Q], the kernel of each problem.
        beta: [A, Q], where to start.
        slope: [A, Q], the gradient there, ``y - gram @ beta``.
        low: [A, Q], the least that they may be.
        high: [A, Q], the most.
        limit: [A]: a problem ends when no pair violates the conditions of the optimum by more (Keerthi et al. 2001).
        most: greatest number of pairs of each problem.
    """
    solved = beta.clone()
    live = torch.arange(len(beta), device=beta.device)
    problem = _Problem(gram, beta, slope, low, high)
    for pair in range(most):
        violation = problem.improve()
        if pair % LOOK == LOOK - 1:
            solved[live] = problem.beta
            going = violation > limit[live]
            if not going.any():
                break
            if not going.all():
                live = live[going]
                problem = problem.part(going)
    solved[live] = problem.beta
    return solved


class _Problem:
    """The problems that are not solved yet."""

    def __init__(self, gram: Tensor, beta: Tensor, slope: Tensor, low: Tensor, high: Tensor) -> None:
        self.gram, self.beta, self.slope, self.low, self.high = gram, beta.clone(), slope.clone(), low, high
        self.diagonal = gram.diagonal(dim1=1, dim2=2).contiguous()
        self.index = torch.arange(len(gram), device=gram.device)
        # Added to the slope they leave out what may not grow, or not shrink; each step changes two of them.
        self.full = torch.where(beta < high, 0.0, -torch.inf).to(gram.dtype)
        self.empty = torch.where(beta > low, 0.0, torch.inf).to(gram.dtype)

    def improve(self) -> Tensor:
        """Move the best pair of each problem to its optimum inside the bounds; return the violation before [A]."""
        index = self.index
        top, grows = (self.slope + self.full).max(dim=1)
        row = self.gram[index, grows]
        curvature = (self.diagonal[index, grows][:, None] + self.diagonal).sub_(row, alpha=2)
        drop = top[:, None] - (self.slope + self.empty)
        violation = drop.amax(dim=1)
        length = drop.clamp_(min=0) / curvature.clamp_(min=LEAST_CURVATURE)
        shrinks = (drop * length).argmax(dim=1)
        up, down = self.beta[index, grows], self.beta[index, shrinks]
        most, least = self.high[index, grows], self.low[index, shrinks]
        length = length[index, shrinks].minimum(most - up).minimum(down - least)
        # On a bound exactly, or an example with next to no room would be chosen for ever.
        up, down = (
            torch.where(length == most - up, most, up + length),
            torch.where(length == down - least, least, down - length),
        )
        self.beta[index, grows], self.beta[index, shrinks] = up, down
        self._mark(grows, up)
        self._mark(shrinks, down)
        self.slope -= length[:, None] * (row - self.gram[index, shrinks])
        return violation

    def part(self, which: Tensor) -> _Problem:
        """Return those of ``which``, bool [A]."""
        parts = (self.gram, self.beta, self.slope, self.low, self.high)
        return _Problem(*(part[which] for part in parts))

    def _mark(self, place: Tensor, beta: Tensor) -> None:
        index = self.index
        self.full[index, place] = torch.where(beta < self.high[index, place], 0.0, -torch.inf).to(beta.dtype)
        self.empty[index, place] = torch.where(beta > self.low[index, place], 0.0, torch.inf).to(beta.dtype)
