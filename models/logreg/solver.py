"""L-BFGS on the penalised cross-entropy, one step at a time, so that it can be stopped and resumed anywhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BURST = 20
"""L-BFGS iterations between two looks at the loss."""
HISTORY = 20
"""Of its steps, which L-BFGS remembers."""
ROWS = 2000
"""Examples computed on at a time: their pixels fit the cache."""


class Solver:
    """Minimises ``sum(cross_entropy(x @ weight.T + bias, y)) + penalty / 2 * |weight|^2``.

    The pixels are centred: that leaves the optimum's weights as they are and moves only the bias, which is not
    penalised, but makes the problem far better conditioned. :meth:`solution` gives the bias for raw pixels.

    Args:
        x: float [N, D].
        y: int64 [N], in ``0 .. num_classes - 1``.
        num_classes: K.
        penalty: weight of ``0.5 * |weight|^2`` beside the summed cross-entropy.
        start: weight [K, D] and bias [K] to start from, as :meth:`solution` gives them; None for zeros.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        num_classes: int,
        penalty: float,
        start: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.mean = x.mean(dim=0)
        self.x, self.y, self.penalty = x - self.mean, y, penalty
        self.theta = torch.zeros(num_classes, x.shape[1] + 1, dtype=x.dtype, device=x.device)
        if start is not None:
            self.theta[:, :-1] = start[0]
            self.theta[:, -1] = start[1] + start[0] @ self.mean
        self.theta.requires_grad_(True)
        self._lbfgs = torch.optim.LBFGS(
            [self.theta],
            max_iter=BURST,
            history_size=HISTORY,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )

    def step(self) -> tuple[float, float]:
        """Run :data:`BURST` iterations; return the penalised loss and the largest entry of its gradient, over N."""
        self._lbfgs.step(self._loss_and_gradient)
        loss = self._loss_and_gradient()
        return float(loss) / len(self.x), float(self.theta.grad.abs().max()) / len(self.x)

    def solution(self) -> tuple[Tensor, Tensor]:
        """Return weight [K, D] and bias [K] for pixels that are not centred."""
        theta = self.theta.detach()
        weight = theta[:, :-1]
        return weight.clone(), theta[:, -1] - weight @ self.mean

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes."""
        return {"theta": self.theta.detach(), "lbfgs": self._lbfgs.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        with torch.no_grad():
            self.theta.copy_(state["theta"])
        self._lbfgs.load_state_dict(state["lbfgs"])

    @torch.no_grad()
    def _loss_and_gradient(self) -> Tensor:
        """Return the loss and leave its gradient in ``theta.grad`` (Bishop 2006, equation 4.109).

        By hand rather than by autograd: each group of pixels is read once for both, while it is in the cache.
        The sum, not the mean: torch's L-BFGS ignores curvature below an absolute 1e-10.
        """
        weight, bias = self.theta[:, :-1], self.theta[:, -1]
        gradient = torch.zeros_like(self.theta)
        loss = torch.zeros((), dtype=torch.float64, device=self.x.device)
        for x, y in zip(self.x.split(ROWS), self.y.split(ROWS), strict=True):
            log_probabilities = torch.addmm(bias, x, weight.T).log_softmax(dim=1)
            right = torch.nn.functional.one_hot(y, len(bias)).to(x.dtype)
            error = log_probabilities.exp() - right
            loss -= (log_probabilities * right).sum()
            gradient[:, :-1] += error.T @ x
            gradient[:, -1] += error.sum(dim=0)
        gradient[:, :-1] += self.penalty * weight
        self.theta.grad = gradient
        return loss + 0.5 * self.penalty * weight.square().sum()
