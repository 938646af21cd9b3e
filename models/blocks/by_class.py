"""Expectation maximisation of a density for each class, side by side, one iteration of each at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from data.prepared import PreparedData
from models.run import Run


class ByClass(ABC):
    """Where the fit stands, so that it can be saved and restored; the iteration that validates best is kept.

    A family says how its densities begin, improve and judge. Its model has ``put(label, share, density)``, its
    settings ``iterations`` and ``tolerance``.

    Attributes:
        KIND: the density's class: built of tensors, in the order in which its ``tensors()`` gives them.
        offset: added to the loss, in nats an image.
        densities: the density of each class.
        sizes: how many training images each class has.
    """

    KIND: ClassVar[type]
    offset = 0.0

    def __init__(self, model: nn.Module, data: PreparedData, run: Run) -> None:
        self.model, self.run, self.config = model, run, model.config
        self.best: dict[str, Any] = {}
        self.best_densities: list[Any] = []
        self.iteration = 0
        self.loss = float("inf")
        self.sizes = self._read(data)
        self.total = sum(self.sizes)
        state = run.restore()
        if state is None:
            self.densities = self._begin()
        else:
            self._load_state_dict(state)

    @abstractmethod
    def _read(self, data: PreparedData) -> list[int]:
        """Bring the data to the device; return how many training images each class has."""

    @abstractmethod
    def _begin(self) -> list[Any]:
        """Return the densities that the fit starts from."""

    @abstractmethod
    def _improve(self, label: int) -> tuple[Tensor, Tensor]:
        """Do one iteration of one class; return the density's log-prior and its images' log-likelihood before it."""

    @abstractmethod
    def _validate(self) -> tuple[Tensor, Tensor]:
        """Return ``log p(image, class)`` [N, K] of the validation images, in nats, and their labels."""

    def go(self) -> None:
        """Iterate until the objective rises by less than the tolerance; leave the best densities in the model."""
        while self.iteration < self.config.iterations:
            before = self.loss
            self._iterate()
            self._judge()
            if before - self.loss < self.config.tolerance:
                break
            if self.run.save_due():
                self.run.save(self._state_dict())
        self._put(self.densities)
        self.run.finish(last=self.model.state_dict(), steps=self.iteration, best=self.best)
        self._put(self.best_densities)

    def _put(self, densities: list[Any]) -> None:
        for label, (size, density) in enumerate(zip(self.sizes, densities, strict=True)):
            self.model.put(label, size / self.total, density)

    def _iterate(self) -> None:
        """One iteration of every class; the loss is that of the densities before it, which never rises."""
        log_posterior = torch.zeros((), dtype=torch.float64, device=self.run.device)
        for label in range(len(self.sizes)):
            for part in self._improve(label):
                log_posterior += part
            done = self.iteration + (label + 1) / len(self.sizes)
            self.run.progress(done, self.config.iterations, "iteration", train_loss=self.loss)
        self.loss = self.offset - float(log_posterior) / self.total
        self.iteration += 1
        self.run.images += self.total

    def _judge(self) -> None:
        """Measure the densities on the validation split."""
        joint, labels = self._validate()
        loss = -float(joint.logsumexp(dim=1).mean())
        accuracy = float((joint.argmax(dim=1) == labels).double().mean())
        row = {"train_loss": self.loss, "validation_loss": loss, "validation_accuracy": accuracy}
        self.run.record(step=self.iteration, **row)
        if not self.best or loss < self.best["value"]:
            self.best = {"metric": "validation_loss", "value": loss, "step": self.iteration}
            self.best_densities = list(self.densities)

    def _state_dict(self) -> dict[str, Any]:
        return {
            "iteration": self.iteration,
            "loss": self.loss,
            "densities": [density.tensors() for density in self.densities],
            "best": self.best,
            "best_densities": [density.tensors() for density in self.best_densities],
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self.iteration, self.loss, self.best = state["iteration"], state["loss"], state["best"]
        self.densities = [self._density(parts) for parts in state["densities"]]
        self.best_densities = [self._density(parts) for parts in state["best_densities"]]

    def _density(self, parts: list[Tensor]) -> Any:
        return self.KIND(*(part.to(self.run.device) for part in parts))
