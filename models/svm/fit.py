"""The path over widths and costs, from smooth to sharp, and the choice by validation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from data import at_once
from data.arrays import whole
from data.prepared import PreparedData, Split
from models.run import Run
from models.svm import problem as problems
from models.svm.calibration import temperature
from models.svm.kernel import WHITE
from models.svm.network import SupportVectorMachine, graph
from models.svm.problem import Examples, Problem

ROWS = 500
"""Validation images that are decided on at a time."""


def fit(model: SupportVectorMachine, data: PreparedData, run: Run) -> None:
    """Solve the problems on ``data.train``; keep the one with the least calibrated loss on ``data.validation``."""
    model.to(run.device)
    path = _Path(model, run, _examples(data.train, run), _examples(data.validation, run))
    while path.solve():
        path.judge()
    path.finish()


class _Path:
    """Where on the path of widths and costs the fit stands, so that it can be saved and restored."""

    def __init__(self, model: SupportVectorMachine, run: Run, train: Examples, held_out: Examples) -> None:
        self.model, self.run, self.train, self.held_out = model, run, train, held_out
        self.config = model.config
        self.gammas = sorted(self.config.gammas) if self.config.kernel == "rbf" else [1.0]
        self.costs = sorted(self.config.costs)
        self.chosen = problems.landmarks(self.config, len(train[0]), run.generator)
        self.at_gamma = self.at_cost = self.iteration = self.steps = 0
        self.least: list[float] = []  # with each width so far, the validation loss of its best cost
        self.best: dict[str, Any] = {}
        self.best_weights: dict[str, Tensor] = {}
        self.problem: Problem | None = None
        self.start: Any = None  # the solver of the last cost
        state = run.restore()
        if state is None:
            self._open()
        else:
            self._load_state_dict(state)

    def solve(self) -> bool:
        """Bring the next problem to its optimum; say whether there was one left."""
        if self.at_gamma == len(self.gammas):
            return False
        while self.iteration < self.config.iterations and self.solver.violation > self.config.tolerance:
            moved = self.solver.step()
            self.iteration += 1
            self.steps += 1
            self.run.images += len(self.train[0])
            self._show()
            if not moved:  # no further at this precision
                break
            if self.run.save_due():
                self.run.save(self._state_dict())
        return True

    def judge(self) -> None:
        """Measure the solution on the validation split, and go to the next cost, or to the next width."""
        self.problem.put(self.model, self.solver)
        images, labels = self.held_out
        machine = graph(self.model).machine  # as it is exported
        scores = torch.cat(
            [machine.scores(rows) for rows in images.split(at_once.pictures(images.shape[1:], ROWS))]
        )
        warmth = temperature(scores, labels)
        self.model.temperature.fill_(warmth)
        loss = float(functional.cross_entropy(scores / warmth, labels))
        accuracy = float((scores.argmax(dim=1) == labels).double().mean())
        where = {"step": self.steps, "cost": self.costs[self.at_cost]}
        if self.config.kernel == "rbf":
            where["gamma"] = self.problem.gamma
        row = {"train_loss": self.solver.loss, "validation_loss": loss, "validation_accuracy": accuracy}
        self.run.record(**where, **row)
        if not self.best or loss < self.best["value"]:
            self.best = {"metric": "validation_loss", "value": loss} | where
            self.best_weights = _weights(self.model)
        self._advance(loss)

    def finish(self) -> None:
        """Leave the best weights in the model."""
        self.run.finish(last=self.model.state_dict(), steps=self.steps, best=self.best)
        self.model.load_state_dict(self.best_weights)
        self.model.eval()

    def _advance(self, loss: float) -> None:
        worse = len(self.least) > self.at_gamma and loss >= self.least[-1]
        if len(self.least) == self.at_gamma:
            self.least.append(loss)
        self.least[-1] = min(self.least[-1], loss)
        self.start = self.solver
        self.at_cost += 1
        if worse or self.at_cost == len(self.costs):
            sharper_is_worse = len(self.least) > 1 and self.least[-1] >= self.least[-2]
            self.at_gamma = len(self.gammas) if sharper_is_worse else self.at_gamma + 1
            self.at_cost, self.start, self.problem = 0, None, None
        self.iteration = 0
        self._open()

    def _open(self) -> None:
        """Build the problem that the fit stands at and its solver."""
        if self.at_gamma == len(self.gammas):
            return
        if self.problem is None:
            gamma, classes = self.gammas[self.at_gamma] * _scale(self.train[0]), self.model.num_classes
            self.problem = problems.build(self.config, self.train, classes, gamma, self.chosen)
        self.solver = self.problem.solver(self.costs[self.at_cost], self.start)

    def _show(self) -> None:
        solved = self.at_gamma * len(self.costs) + self.at_cost
        done = solved + min(1.0, self.iteration / self.config.iterations)
        latest = {key: value for key, value in (self.run.history or [{}])[-1].items() if key != "step"}
        self.run.progress(done, len(self.gammas) * len(self.costs), "problem", **latest)

    def _state_dict(self) -> dict[str, Any]:
        return {
            "at": [self.at_gamma, self.at_cost, self.iteration, self.steps],
            "least": self.least,
            "best": self.best,
            "best_weights": self.best_weights,
            "solver": self.solver.state_dict(),
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self.at_gamma, self.at_cost, self.iteration, self.steps = state["at"]
        self.least, self.best, self.best_weights = state["least"], state["best"], state["best_weights"]
        self._open()
        self.solver.load_state_dict(state["solver"])


def _examples(split: Split, run: Run) -> Examples:
    """Return the pixels and the labels, on the device."""
    images = torch.as_tensor(whole(split.images)).to(run.device)
    return images.flatten(1), torch.as_tensor(split.labels).to(run.device)


def _scale(images: Tensor) -> float:
    """Return 1 / (D * variance of the pixels in [0, 1]) of uint8 [N, D]; images of one grey level count as spread."""
    levels = images.flatten().bincount(minlength=int(WHITE) + 1).double() / images.numel()
    pixels = torch.arange(len(levels), device=levels.device) / WHITE
    variance = float((levels * pixels.square()).sum() - (levels * pixels).sum().square())
    return 1 / (images.shape[1] * (variance or 1.0))


def _weights(model: SupportVectorMachine) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}
