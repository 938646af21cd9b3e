"""EM on the mixtures of all classes, side by side, one iteration of each at a time."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from data.prepared import PreparedData, Split
from models.blocks import kmeans
from models.gmm import em
from models.gmm.density import GaussianMixtures
from models.run import Run


def fit(model: GaussianMixtures, data: PreparedData, run: Run) -> None:
    """Fit ``model`` to ``data.train``; the iteration with the most likely ``data.validation`` is kept."""
    model.to(run.device)
    _Fit(model, data, run).go()


class _Fit:
    """Where EM stands, so that it can be saved and restored."""

    def __init__(self, model: GaussianMixtures, data: PreparedData, run: Run) -> None:
        self.model, self.run, self.config = model, run, model.config
        self.held_out = self._pixels(data.validation)
        x, labels = self._pixels(data.train)
        self.classes = [x[labels == label] for label in range(data.spec.num_classes)]
        self.total = len(x)
        self.prior = self._pooled()
        self.best: dict[str, Any] = {}
        self.best_mixtures: list[em.Mixture] = []
        self.iteration = 0
        self.loss = float("inf")
        state = run.restore()
        if state is None:
            self.mixtures = [self._begin(x) for x in self.classes]
        else:
            self._load_state_dict(state)

    def go(self) -> None:
        while self.iteration < self.config.iterations:
            before = self.loss
            self._iterate()
            self._judge()
            if before - self.loss < self.config.tolerance:
                break
            if self.run.save_due():
                self.run.save(self._state_dict())
        self._put(self.mixtures)
        self.run.finish(last=self.model.state_dict(), steps=self.iteration, best=self.best)
        self._put(self.best_mixtures)

    def _put(self, mixtures: list[em.Mixture]) -> None:
        for label, (x, mixture) in enumerate(zip(self.classes, mixtures, strict=True)):
            self.model.put(label, len(x) / self.total, mixture)

    def _iterate(self) -> None:
        """One EM iteration of every class; the loss is that of the mixtures before it, which never rises."""
        log_posterior = torch.zeros((), dtype=torch.float64, device=self.run.device)
        for label, x in enumerate(self.classes):
            log_posterior += self.prior.log_density(self.mixtures[label].scales)
            likelihoods, responsibilities = em.e_step(x, self.mixtures[label], self.model.noise)
            log_posterior += likelihoods.sum()
            self.mixtures[label] = em.m_step(x, responsibilities, self.prior, self.model.noise)
            done = self.iteration + (label + 1) / len(self.classes)
            self.run.progress(done, self.config.iterations, "iteration", train_loss=self.loss)
        self.loss = -float(log_posterior) / self.total
        self.iteration += 1
        self.run.images += self.total

    def _judge(self) -> None:
        """Measure the mixtures on the validation split."""
        x, labels = self.held_out
        by_class = [em.log_joint(x, mixture, self.model.noise).logsumexp(dim=1) for mixture in self.mixtures]
        shares = torch.tensor([len(members) / self.total for members in self.classes], device=x.device)
        joint = torch.stack(by_class, dim=1) + shares.log() - self.model.dim * math.log(self.model.levels)
        loss = -float(joint.logsumexp(dim=1).mean())
        accuracy = float((joint.argmax(dim=1) == labels).double().mean())
        row = {"train_loss": self.loss, "validation_loss": loss, "validation_accuracy": accuracy}
        self.run.record(step=self.iteration, **row)
        if not self.best or loss < self.best["value"]:
            self.best = {"metric": "validation_loss", "value": loss, "step": self.iteration}
            self.best_mixtures = list(self.mixtures)

    def _begin(self, x: Tensor) -> em.Mixture:
        clusters = kmeans.assign(x, self.config.components, self.run.generator)
        return em.m_step(x, clusters, self.prior, self.model.noise)

    def _pooled(self) -> em.Prior:
        """Return the prior: the covariance about the classes' means over all classes, made rounder."""
        full = self.config.covariance == "full"
        pooled = sum(len(x) / self.total * em.covariance(x, full) for x in self.classes)
        diagonal = pooled.diagonal() if full else pooled
        variance = diagonal.mean()
        pooled *= 1 - self.config.roundness
        diagonal += self.config.roundness * variance + self.model.noise
        share = self.total / (len(self.classes) * self.config.components)
        return em.Prior(pooled, self.config.prior * share)

    def _pixels(self, split: Split) -> tuple[Tensor, Tensor]:
        """Return pixels float64 [N, D] and labels, on the device."""
        device = self.run.device
        return self.model.pixels(torch.as_tensor(split.images).to(device)), torch.as_tensor(split.labels).to(
            device
        )

    def _state_dict(self) -> dict[str, Any]:
        return {
            "iteration": self.iteration,
            "loss": self.loss,
            "mixtures": [_parts(mixture) for mixture in self.mixtures],
            "best": self.best,
            "best_mixtures": [_parts(mixture) for mixture in self.best_mixtures],
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self.iteration, self.loss, self.best = state["iteration"], state["loss"], state["best"]
        self.mixtures = [self._mixture(parts) for parts in state["mixtures"]]
        self.best_mixtures = [self._mixture(parts) for parts in state["best_mixtures"]]

    def _mixture(self, parts: list[Tensor]) -> em.Mixture:
        return em.Mixture(*(part.to(self.run.device) for part in parts))


def _parts(mixture: em.Mixture) -> list[Tensor]:
    return [mixture.log_weights, mixture.means, mixture.covariances]
