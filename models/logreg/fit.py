"""The path of penalties, from strong to weak, and the choice by validation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from data.arrays import whole
from data.prepared import PreparedData, Split
from models.blocks.pixels import unit
from models.logreg.network import LogisticRegression
from models.logreg.solver import BURST, Solver
from models.run import Run


def fit(model: LogisticRegression, data: PreparedData, run: Run) -> None:
    """Solve for each penalty on ``data.train``; ``model`` gets the one with the least loss on ``data.validation``."""
    model.to(run.device)
    path = _Path(model, run, _pixels(data.train, run), _pixels(data.validation, run))
    while path.solve():
        path.judge()
    path.finish()


class _Path:
    """Where on the path of penalties the fit stands, so that it can be saved and restored."""

    def __init__(
        self,
        model: LogisticRegression,
        run: Run,
        train: tuple[Tensor, Tensor],
        held_out: tuple[Tensor, Tensor],
    ) -> None:
        self.model, self.run, self.train, self.held_out = model, run, train, held_out
        self.config = model.config
        self.penalties = sorted(self.config.penalties, reverse=True)
        self.solved = self.iteration = self.steps = 0
        self.worse = False
        self.loss = float("inf")
        self.best: dict[str, Any] = {}
        self.best_weights = _weights(model)
        self.solver: Solver | None = None
        state = run.restore()
        if state is not None:
            self._load_state_dict(state)

    def solve(self) -> bool:
        """Bring the next penalty's problem to its optimum; say whether there was one left to try."""
        if self.solved == len(self.penalties) or self.worse:
            return False
        if self.solver is None:
            self.solver, self.iteration, self.loss = self._solver(), 0, float("inf")
        while self.iteration < self.config.iterations:
            previous, (self.loss, gradient) = self.loss, self.solver.step()
            self.iteration += BURST
            self.steps += BURST
            self.run.images += BURST * len(self.train[0])
            done = self.solved * self.config.iterations + self.iteration
            self.run.progress(done, len(self.penalties) * self.config.iterations, "iteration", loss=self.loss)
            if gradient <= self.config.tolerance or self.loss == previous:  # no further at this precision
                break
            if self.run.save_due():
                self.run.save(self._state_dict())
        return True

    def judge(self) -> None:
        """Measure the solved problem's weights on the validation split; they are the next one's start."""
        weight, bias = self.solver.solution()
        with torch.no_grad():
            self.model.linear.weight.copy_(weight)
            self.model.linear.bias.copy_(bias)
            logits = self.model.linear(self.held_out[0])
        loss = float(functional.cross_entropy(logits, self.held_out[1]))
        accuracy = float((logits.argmax(dim=-1) == self.held_out[1]).double().mean())
        penalty = self.penalties[self.solved]
        row = {"train_loss": self.loss, "validation_loss": loss, "validation_accuracy": accuracy}
        self.run.record(step=self.steps, penalty=penalty, **row)
        self.worse = bool(self.best) and loss >= self.best["value"]
        if not self.worse:
            self.best = {"metric": "validation_loss", "value": loss, "step": self.steps, "penalty": penalty}
            self.best_weights = _weights(self.model)
        self.solved += 1
        self.solver = None

    def finish(self) -> None:
        """Leave the best weights in the model."""
        self.run.finish(last=self.model.state_dict(), steps=self.steps, best=self.best)
        self.model.load_state_dict(self.best_weights)
        self.model.eval()

    def _solver(self) -> Solver:
        start = self.model.linear.weight.detach(), self.model.linear.bias.detach()
        return Solver(*self.train, len(start[1]), self.penalties[self.solved], start)

    def _state_dict(self) -> dict[str, Any]:
        return {
            "solved": self.solved,
            "iteration": self.iteration,
            "loss": self.loss,
            "steps": self.steps,
            "best": self.best,
            "best_weights": self.best_weights,
            "model": _weights(self.model),
            "solver": self.solver.state_dict(),
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self.solved, self.iteration, self.steps = state["solved"], state["iteration"], state["steps"]
        self.loss, self.best, self.best_weights = state["loss"], state["best"], state["best_weights"]
        self.model.load_state_dict(state["model"])
        self.solver = self._solver()
        self.solver.load_state_dict(state["solver"])


def _pixels(split: Split, run: Run) -> tuple[Tensor, Tensor]:
    """Return the pixels float32 [N, D] in [0, 1] and the labels, on the device."""
    images = unit(torch.as_tensor(whole(split.images)).to(run.device))
    return images.flatten(1), torch.as_tensor(split.labels).to(run.device)


def _weights(model: LogisticRegression) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}
