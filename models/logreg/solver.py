"""L-BFGS on the penalised cross-entropy, one step at a time, so that it can be stopped and resumed anywhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

BURST = 20
"""L-BFGS iterations between two looks at the loss."""


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
        self, x: Tensor, y: Tensor, num_classes: int, penalty: float, start: tuple[Tensor, Tensor] | None = None
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
            history_size=20,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )

    def step(self) -> tuple[float, float]:
        """Run :data:`BURST` iterations; return the mean loss and the largest entry of its gradient."""
        self._lbfgs.step(self._closure)
        total = self._closure()
        return float(total) / len(self.x), float(self.theta.grad.abs().max()) / len(self.x)

    @torch.no_grad()
    def loss(self) -> float:
        """Return the mean cross-entropy, without the penalty."""
        return float(functional.cross_entropy(self._logits(), self.y))

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

    def _closure(self) -> Tensor:
        # The sum, not the mean: torch's L-BFGS ignores curvature below an absolute 1e-10.
        self.theta.grad = None
        loss = functional.cross_entropy(self._logits(), self.y, reduction="sum")
        loss = loss + 0.5 * self.penalty * self.theta[:, :-1].square().sum()
        loss.backward()
        return loss.detach()

    def _logits(self) -> Tensor:
        return torch.addmm(self.theta[:, -1], self.x, self.theta[:, :-1].T)
