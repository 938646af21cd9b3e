"""Baum-Welch on the chains of all classes, side by side, one iteration of each at a time."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from data.prepared import PreparedData, Split
from models.hmm import baum_welch, start
from models.hmm.baum_welch import Chain, Prior
from models.hmm.density import HiddenMarkovModels
from models.run import Run


def fit(model: HiddenMarkovModels, data: PreparedData, run: Run) -> None:
    """Fit ``model`` to ``data.train``; the iteration with the most likely ``data.validation`` is kept."""
    model.to(run.device)
    _Fit(model, data, run).go()


class _Fit:
    """Where Baum-Welch stands, so that it can be saved and restored."""

    def __init__(self, model: HiddenMarkovModels, data: PreparedData, run: Run) -> None:
        self.model, self.run, self.config = model, run, model.config
        self.held_out = self._rows(data.validation)
        rows, labels = self._rows(data.train)
        self.classes = [rows[:, labels == label] for label in range(data.spec.num_classes)]
        self.total = len(labels)
        self.best: dict[str, Any] = {}
        self.best_chains: list[Chain] = []
        self.iteration = 0
        self.loss = float("inf")
        state = run.restore()
        if state is None:
            self._begin()
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
        self._put(self.chains)
        self.run.finish(last=self.model.state_dict(), steps=self.iteration, best=self.best)
        self._put(self.best_chains)

    def _put(self, chains: list[Chain]) -> None:
        for label, (rows, chain) in enumerate(zip(self.classes, chains, strict=True)):
            self.model.put(label, rows.shape[1] / self.total, chain)

    def _iterate(self) -> None:
        """One iteration of every class; the loss is that of the chains before it, which never rises."""
        log_posterior = torch.zeros((), dtype=torch.float64, device=self.run.device)
        for label, rows in enumerate(self.classes):
            chain, noise = self.chains[label], self.model.noise
            log_posterior += self.prior.log_density(chain)
            likelihoods, counts = baum_welch.e_step(
                self.model.chunks(rows), chain, self.config.topology, noise
            )
            log_posterior += likelihoods.sum()
            self.chains[label] = baum_welch.m_step(counts, chain, self.prior, noise)
            done = self.iteration + (label + 1) / len(self.classes)
            self.run.progress(done, self.config.iterations, "iteration", train_loss=self.loss)
        self.loss = self.model.dim * math.log(self.model.levels) - float(log_posterior) / self.total
        self.iteration += 1
        self.run.images += self.total

    def _judge(self) -> None:
        """Measure the chains on the validation split."""
        self._put(self.chains)
        rows, labels = self.held_out
        joint = self.model.log_joint(rows)
        loss = -float(joint.logsumexp(dim=1).mean())
        accuracy = float((joint.argmax(dim=1) == labels).double().mean())
        row = {"train_loss": self.loss, "validation_loss": loss, "validation_accuracy": accuracy}
        self.run.record(step=self.iteration, **row)
        if not self.best or loss < self.best["value"]:
            self.best = {"metric": "validation_loss", "value": loss, "step": self.iteration}
            self.best_chains = list(self.chains)

    def _begin(self) -> None:
        """Start the chains, and pull them to the variances that are left within their states at the start."""
        config, noise = self.config, self.model.noise
        counted = [self._count(rows) for rows in self.classes]
        template = start.blank(config.states, config.topology, self.model.means[0])
        no_prior = Prior(torch.zeros_like(template.variances[0]), 0.0, config.smoothing)
        within = sum(
            (counts.occupancy[:, None] * baum_welch.m_step(counts, template, no_prior, noise).variances).sum(
                dim=0
            )
            for counts in counted
        )
        pooled = within / sum(counts.occupancy.sum() for counts in counted)
        pooled = (1 - config.roundness) * pooled + config.roundness * pooled.mean()
        share = self.total * self.model.spec.height / (len(self.classes) * config.states)
        self.prior = Prior(pooled, config.prior * share, config.smoothing)
        self.chains = [baum_welch.m_step(counts, template, self.prior, noise) for counts in counted]

    def _count(self, rows: Tensor) -> baum_welch.Statistics:
        order = torch.randperm(rows.shape[1], generator=self.run.generator, device=self.run.device)
        sample = self.model.middles(rows[:, order[: start.IMAGES]])
        config = self.config
        return start.counts(sample, config.states, config.topology, config.height, self.run.generator)

    def _rows(self, split: Split) -> tuple[Tensor, Tensor]:
        """Return rows as levels [H, N, D], and labels, on the device."""
        device = self.run.device
        parts = [
            self.model.row_levels(part.to(device)) for part in torch.as_tensor(split.images).split(10000)
        ]
        return torch.cat(parts, dim=1), torch.as_tensor(split.labels).to(device)

    def _state_dict(self) -> dict[str, Any]:
        return {
            "iteration": self.iteration,
            "loss": self.loss,
            "chains": [chain.tensors() for chain in self.chains],
            "prior": self.prior.variances,
            "strength": self.prior.strength,
            "best": self.best,
            "best_chains": [chain.tensors() for chain in self.best_chains],
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self.iteration, self.loss, self.best = state["iteration"], state["loss"], state["best"]
        self.chains = [self._chain(parts) for parts in state["chains"]]
        self.best_chains = [self._chain(parts) for parts in state["best_chains"]]
        pooled = state["prior"].to(self.run.device)
        self.prior = Prior(pooled, state["strength"], self.config.smoothing)

    def _chain(self, parts: list[Tensor]) -> Chain:
        return Chain(*(part.to(self.run.device) for part in parts))
