"""The squared hinge loss in the primal, all classes at once (Keerthi & DeCoste 2005; Chapelle 2007).

The objective is piecewise quadratic: Newton's method reaches its minimum in a few steps. Each step's linear system is
solved by conjugate gradients, preconditioned as Rudi, Carratino & Rosasco 2017 ("FALKON") do: with the landmarks' own
kernel ``K_mm = LL'``, the features are ``K_nm L'^-1``, and ``(N / M) L'L`` stands for their second moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ROWS = 512
"""Rows of the matrix computed on at a time: they are still in the cache for the second product."""
RIDGE = {torch.float32: 1e-4, torch.float64: 1e-9}
"""Added to the diagonal of K_mm, which is 1: bounds the coefficients, so that rounding cannot grow in their sums."""
INNER = 10
"""Greatest number of conjugate gradient steps for one Newton step."""
LOOSE = 0.3
"""They end when the residual has fallen to this share; to less when the last Newton step gained little."""
HALVINGS = 8
"""Steps of length 1, 1/2, 1/4 ... are tried."""
ROUNDING = 1e-13
"""A step that lowers the objective by a smaller share of it lowers nothing."""


@dataclass(frozen=True)
class Features:
    """What the machines are linear in.

    Attributes:
        matrix: [N, M], the kernel with the landmarks, or pixels.
        factor: L [M, M], lower: the features are ``matrix @ inv(L.T)``; None for the matrix itself.
        moment: [M, M], about the sum over the examples of the features' outer products.
    """

    matrix: Tensor
    factor: Tensor | None
    moment: Tensor

    @classmethod
    def of_landmarks(cls, matrix: Tensor, kernel: Tensor) -> Features:
        """Return those of ``matrix`` [N, M] with the landmarks, whose own ``kernel`` is float64 [M, M]."""
        ridge = RIDGE[matrix.dtype] * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
        factor = torch.linalg.cholesky(kernel + ridge).to(matrix.dtype)
        return cls(matrix, factor, factor.T @ factor * (len(matrix) / len(kernel)))

    @classmethod
    def of_pixels(cls, matrix: Tensor) -> Features:
        """Return those of centred pixels [N, D]."""
        return cls(matrix, None, matrix.T @ matrix)

    def columns(self, beta: Tensor) -> Tensor:
        """Return the coefficients of the matrix's columns for weights ``beta`` [M, K] of the features."""
        return beta if self.factor is None else torch.linalg.solve_triangular(self.factor.T, beta, upper=True)

    def back(self, columns: Tensor) -> Tensor:
        """Apply the transpose of :meth:`columns`."""
        return (
            columns
            if self.factor is None
            else torch.linalg.solve_triangular(self.factor, columns, upper=False)
        )


class Solver:
    """Minimises ``0.5 * |beta_k|^2 + cost * sum(max(0, 1 - y_k f_k)^2)`` for each class k, by Newton's method.

    ``y_k`` is 1 for the examples of the class and -1 for all others; ``f_k`` the features times ``beta_k``, plus a
    bias, which is not penalised.

    ``violation`` is the share by which the last step lowered the objective.

    Args:
        features: of the N training images.
        labels: int64 [N], in ``0 .. num_classes - 1``.
        num_classes: K.
        cost: C.
        start: [M + 1, K], another solver's ``theta``; None for zeros.
    """

    def __init__(
        self, features: Features, labels: Tensor, num_classes: int, cost: float, start: Tensor | None = None
    ) -> None:
        self.features, self.cost = features, cost
        matrix = features.matrix
        self.signs = 2 * torch.nn.functional.one_hot(labels, num_classes).to(matrix.dtype) - 1
        zeros = torch.zeros(matrix.shape[1] + 1, num_classes, dtype=matrix.dtype, device=matrix.device)
        self.theta = zeros if start is None else start.clone()
        self.objective, self.gradient, self.gap = self._evaluate(self.theta)
        self._prepare(float((self.gap > 0).double().mean()))
        self.violation = float("inf")

    @property
    def loss(self) -> float:
        """The squared hinge, summed over the classes, mean over the examples."""
        return float(self.gap.clamp(min=0).double().square().sum() / len(self.gap))

    def step(self) -> bool:
        """Take one Newton step; say whether it lowered the objective of any class."""
        direction = self._direction()
        change = self.signs * self._decide(direction)
        best, length = self.objective, torch.zeros_like(self.objective)
        for halving in range(HALVINGS):
            step = 0.5**halving
            objective = self._objective(self.theta + step * direction, self.gap - step * change)
            lower = objective < best * (1 - ROUNDING)
            best, length = torch.where(lower, objective, best), torch.where(lower, step, length)
        self.violation = float((self.objective - best).sum() / self.objective.sum())
        self.theta = self.theta + length.to(direction.dtype) * direction
        self.objective, self.gradient, self.gap = self._evaluate(self.theta)
        return bool((length > 0).any())

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes."""
        return {"theta": self.theta, "share": self.share, "violation": self.violation}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self.theta = state["theta"].to(self.theta.device)
        self.objective, self.gradient, self.gap = self._evaluate(self.theta)
        self._prepare(state["share"])
        self.violation = state["violation"]

    def solution(self) -> tuple[Tensor, Tensor]:
        """Return the coefficients [M, K] of the matrix's columns, and the bias [K]."""
        return self.features.columns(self.theta[:-1]), self.theta[-1]

    def _evaluate(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return each class's objective [K], its gradient [M + 1, K], and ``1 - y f`` [N, K]."""
        columns, bias = self.features.columns(theta[:-1]), theta[-1]
        gap, products = torch.empty_like(self.signs), torch.zeros_like(columns.T)
        for rows, signs, out in self._rows(self.signs, gap):
            torch.sub(1, signs * (rows @ columns + bias), out=out)
            products += (signs * out.clamp(min=0)).T @ rows
        slope = (self.signs * gap.clamp(min=0)).sum(dim=0, keepdim=True)
        gradient = -2 * self.cost * torch.cat([self.features.back(products.T), slope])
        gradient[:-1] += theta[:-1]
        return self._objective(theta, gap), gradient, gap

    def _objective(self, theta: Tensor, gap: Tensor) -> Tensor:
        # Sums in float64: near the optimum, a step lowers the objective by less than float32 can tell.
        penalty = theta[:-1].double().square().sum(dim=0)
        return 0.5 * penalty + self.cost * gap.clamp(min=0).double().square().sum(dim=0)

    def _direction(self) -> Tensor:
        """Solve ``H p = -gradient`` for each class by preconditioned conjugate gradients, about."""
        active = (self.gap > 0).to(self.gap.dtype)
        direction = torch.zeros_like(self.theta)
        residual = -self.gradient
        near = residual.norm(dim=0) * min(LOOSE, self.violation**0.5)
        towards = solved = self._precondition(residual)
        power = (residual * solved).sum(dim=0)
        for _ in range(INNER):
            busy = residual.norm(dim=0) > near
            if not busy.any():
                break
            bent = self._hessian(towards, active)
            length = torch.where(busy, power / (towards * bent).sum(dim=0), 0.0)
            direction = direction + length * towards
            residual = residual - length * bent
            solved = self._precondition(residual)
            before, power = power, (residual * solved).sum(dim=0)
            towards = solved + torch.where(busy, power / before, 0.0) * towards
        return direction

    def _hessian(self, vectors: Tensor, active: Tensor) -> Tensor:
        """Return the generalised Hessian of each class times its column of ``vectors`` [M + 1, K]."""
        columns, bias = self.features.columns(vectors[:-1]), vectors[-1]
        products, total = torch.zeros_like(columns.T), torch.zeros_like(bias)
        for rows, mask in self._rows(active):
            outputs = mask * (rows @ columns + bias)
            products += outputs.T @ rows
            total += outputs.sum(dim=0)
        bent = 2 * self.cost * torch.cat([self.features.back(products.T), total[None]])
        bent[:-1] += vectors[:-1]
        return bent

    def _decide(self, theta: Tensor) -> Tensor:
        return self.features.matrix @ self.features.columns(theta[:-1]) + theta[-1]

    def _rows(self, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Give the matrix and ``others``, all with N rows, a group of rows at a time."""
        return zip(*(tensor.split(ROWS) for tensor in (self.features.matrix, *others)), strict=True)

    def _precondition(self, residual: Tensor) -> Tensor:
        """Apply the inverse of about the Hessian."""
        weights = torch.linalg.solve_triangular(self.about, residual[:-1], upper=False)
        weights = torch.linalg.solve_triangular(self.about.T, weights, upper=True)
        return torch.cat([weights, residual[-1:] / self.curvature])

    def _prepare(self, share: float) -> None:
        """Factor about the Hessian: as if ``share`` of all examples counted, the same for each class."""
        self.share = share
        moment = 2 * self.cost * share * self.features.moment
        moment.diagonal().add_(1)
        self.about = torch.linalg.cholesky(moment)
        self.curvature = 2 * self.cost * share * len(self.signs)
