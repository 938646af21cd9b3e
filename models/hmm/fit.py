"""Baum-Welch on the chains of all classes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from data import at_once
from data.arrays import whole
from data.prepared import PreparedData, Split
from models.blocks.by_class import ByClass
from models.hmm import baum_welch, start
from models.hmm.baum_welch import Chain, Prior
from models.hmm.density import HiddenMarkovModels
from models.run import Run


def fit(model: HiddenMarkovModels, data: PreparedData, run: Run) -> None:
    """Fit ``model`` to ``data.train``; the iteration with the most likely ``data.validation`` is kept."""
    model.to(run.device)
    _Fit(model, data, run).go()


class _Fit(ByClass):
    KIND = Chain

    def _read(self, data: PreparedData) -> list[int]:
        self.offset = self.model.dim * math.log(self.model.levels)
        self.held_out = self._rows(data.validation)
        rows, labels = self._rows(data.train)
        self.classes = [rows[:, labels == label] for label in range(data.spec.num_classes)]
        return [rows.shape[1] for rows in self.classes]

    def _begin(self) -> list[Chain]:
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
        share = self.total * self.classes[0].shape[0] / (len(self.classes) * config.states)
        self.prior = Prior(pooled, config.prior * share, config.smoothing)
        return [baum_welch.m_step(counts, template, self.prior, noise) for counts in counted]

    def _improve(self, label: int) -> tuple[Tensor, Tensor]:
        rows, chain, noise = self.classes[label], self.densities[label], self.model.noise
        log_prior = self.prior.log_density(chain)
        likelihoods, counts = baum_welch.e_step(self.model.chunks(rows), chain, self.config.topology, noise)
        self.densities[label] = baum_welch.m_step(counts, chain, self.prior, noise)
        return log_prior, likelihoods.sum()

    def _validate(self) -> tuple[Tensor, Tensor]:
        self._put(self.densities)
        rows, labels = self.held_out
        return self.model.log_joint(rows), labels

    def _count(self, rows: Tensor) -> baum_welch.Statistics:
        size = at_once.pictures(self.model.spec.shape, start.IMAGES, start.NUMBERS)
        order = torch.randperm(rows.shape[1], generator=self.run.generator, device=self.run.device)
        sample = self.model.middles(rows[:, order[:size]])
        config = self.config
        return start.counts(sample, config.states, config.topology, config.height, self.run.generator)

    def _rows(self, split: Split) -> tuple[Tensor, Tensor]:
        """Return the levels of strips [T, N, D], and labels, on the device."""
        device = self.run.device
        parts = [
            self.model.strips(part.to(device)) for part in torch.as_tensor(whole(split.images)).split(10000)
        ]
        return torch.cat(parts, dim=1), torch.as_tensor(split.labels).to(device)

    def _state_dict(self) -> dict[str, Any]:
        return super()._state_dict() | {"prior": self.prior.variances, "strength": self.prior.strength}

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        super()._load_state_dict(state)
        pooled = state["prior"].to(self.run.device)
        self.prior = Prior(pooled, state["strength"], self.config.smoothing)
