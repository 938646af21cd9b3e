"""The hinge loss in the dual, exactly: sequential minimal optimisation of all classes side by side.

Two multipliers of each class are brought to their joint optimum at a time (Platt 1998): the pair that promises the
largest gain by second-order information (Fan, Chen & Lin 2005, working set selection 2), as LIBSVM does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BURST = 100
"""Pairs of each class between two looks at how far the optimum is."""
LEAST_CURVATURE = 1e-12
"""In place of the curvature along a pair of equal images, which is 0."""


class Solver:
    """Maximises ``sum(alpha) - 0.5 * |sum(alpha_i y_i phi(x_i))|^2`` for each class, ``0 <= alpha <= cost``.

    ``y`` is 1 for the examples of the class and -1 for all others, and ``sum(alpha_i y_i) = 0``: the bias is not
    penalised.

    Args:
        gram: float64 [N, N], the kernel of the training images.
        labels: int64 [N], in ``0 .. num_classes - 1``.
        num_classes: K.
        cost: C.
        start: multipliers [K, N], another solver's ``theta`` for at most this cost; None for zeros.
    """

    def __init__(
        self, gram: Tensor, labels: Tensor, num_classes: int, cost: float, start: Tensor | None = None
    ) -> None:
        self.gram, self.cost = gram, cost
        self.signs = 2 * torch.nn.functional.one_hot(labels, num_classes).T.to(gram.dtype) - 1
        self._continue_from(torch.zeros_like(self.signs) if start is None else start)

    @property
    def loss(self) -> float:
        """The hinge, summed over the classes, mean over the examples."""
        slack = -self.signs * (self.error + self._bias()[:, None])
        return float(slack.clamp(min=0).sum() / len(self.gram))

    @property
    def violation(self) -> float:
        """How much the worst pair of any class violates the conditions of the optimum (Keerthi et al. 2001)."""
        upper, lower = self._bounds()
        return float((upper.amax(dim=1) - lower.amin(dim=1)).max())

    def step(self) -> bool:
        """Improve :data:`BURST` pairs of each class; say whether any moved."""
        before = self.theta.clone()
        for _ in range(BURST):
            self._improve()
        return not torch.equal(before, self.theta)

    def solution(self) -> tuple[Tensor, Tensor]:
        """Return the coefficients [N, K] of the training images, ``alpha * y``, and the bias [K]."""
        return (self.theta * self.signs).T.contiguous(), self._bias()

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes."""
        return {"theta": self.theta, "error": self.error}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self.theta, self.error = state["theta"].to(self.gram.device), state["error"].to(self.gram.device)

    def _continue_from(self, multipliers: Tensor) -> None:
        self.theta = multipliers.clone()
        # f(x_i) - y_i without the bias; kept up to date with every step.
        self.error = (self.theta * self.signs) @ self.gram - self.signs

    def _bounds(self) -> tuple[Tensor, Tensor]:
        """Return ``-error`` [K, N] where ``alpha * y`` may grow (else -inf), and where it may shrink (else inf)."""
        positive, below, above = self.signs > 0, self.theta < self.cost, self.theta > 0
        upper = torch.where(torch.where(positive, below, above), -self.error, -torch.inf)
        lower = torch.where(torch.where(positive, above, below), -self.error, torch.inf)
        return upper, lower

    def _improve(self) -> None:
        """Move the best pair of each class to its optimum inside the bounds."""
        classes = torch.arange(len(self.signs), device=self.gram.device)
        upper, lower = self._bounds()
        top, grows = upper.max(dim=1)
        diagonal = self.gram.diagonal()
        row = self.gram[grows]
        curvature = (diagonal[grows, None] + diagonal - 2 * row).clamp(min=LEAST_CURVATURE)
        slope = top[:, None] - lower
        shrinks = torch.where(slope > 0, slope.square() / curvature, -1.0).argmax(dim=1)
        best = slope[classes, shrinks] / curvature[classes, shrinks]
        length = torch.minimum(best.clamp(min=0), self._room(classes, grows, 1.0))
        length = torch.minimum(length, self._room(classes, shrinks, -1.0))
        self._move(classes, grows, length)
        self._move(classes, shrinks, -length)
        self.error += length[:, None] * (row - self.gram[shrinks])

    def _room(self, classes: Tensor, index: Tensor, way: float) -> Tensor:
        """Return how far ``alpha * y`` of the chosen examples can go ``way`` (1 up, -1 down)."""
        alpha, rising = self.theta[classes, index], self.signs[classes, index] * way > 0
        return torch.where(rising, self.cost - alpha, alpha)

    def _move(self, classes: Tensor, index: Tensor, length: Tensor) -> None:
        alpha = self.theta[classes, index] + self.signs[classes, index] * length
        # On a bound exactly, or an example with next to no room would be chosen for ever.
        near = 1e-12 * self.cost
        alpha = torch.where(alpha < near, 0.0, torch.where(alpha > self.cost - near, self.cost, alpha))
        self.theta[classes, index] = alpha

    def _bias(self) -> Tensor:
        """Return what puts the free support vectors on the margin: [K]; the middle of its bounds where none is free."""
        free = (self.theta > 0) & (self.theta < self.cost)
        upper, lower = self._bounds()
        middle = (upper.amax(dim=1) + lower.amin(dim=1)) / 2
        count = free.sum(dim=1)
        mean = -(self.error * free).sum(dim=1) / count.clamp(min=1)
        return torch.where(count > 0, mean, middle)
