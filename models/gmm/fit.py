"""EM on the mixtures of all classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from data.arrays import whole
from data.prepared import PreparedData, Split
from models.blocks import kmeans
from models.blocks.by_class import ByClass
from models.gmm import em
from models.gmm.density import GaussianMixtures
from models.run import Run


def fit(model: GaussianMixtures, data: PreparedData, run: Run) -> None:
    """Fit ``model`` to ``data.train``; the iteration with the most likely ``data.validation`` is kept."""
    model.to(run.device)
    _Fit(model, data, run).go()


class _Fit(ByClass):
    KIND = em.Mixture

    def _read(self, data: PreparedData) -> list[int]:
        self.held_out = self._pixels(data.validation)
        x, labels = self._pixels(data.train)
        self.classes = [x[labels == label] for label in range(data.spec.num_classes)]
        self.prior = self._pooled()
        return [len(x) for x in self.classes]

    def _begin(self) -> list[em.Mixture]:
        return [self._start(x) for x in self.classes]

    def _start(self, x: Tensor) -> em.Mixture:
        clusters = kmeans.assign(x, self.config.components, self.run.generator)
        return em.m_step(x, clusters, self.prior, self.model.noise)

    def _improve(self, label: int) -> tuple[Tensor, Tensor]:
        x, mixture = self.classes[label], self.densities[label]
        log_prior = self.prior.log_density(mixture.scales)
        likelihoods, responsibilities = em.e_step(x, mixture, self.model.noise)
        self.densities[label] = em.m_step(x, responsibilities, self.prior, self.model.noise)
        return log_prior, likelihoods.sum()

    def _validate(self) -> tuple[Tensor, Tensor]:
        x, labels = self.held_out
        by_class = [em.log_joint(x, mixture, self.model.noise).logsumexp(dim=1) for mixture in self.densities]
        shares = torch.tensor([size / self.total for size in self.sizes], device=x.device)
        return torch.stack(by_class, dim=1) + shares.log() - self.model.dim * math.log(
            self.model.levels
        ), labels

    def _pooled(self) -> em.Prior:
        """Return the prior: the covariance about the classes' means over all classes, made rounder."""
        full, total = self.model.full, sum(map(len, self.classes))
        pooled = sum(len(x) / total * em.covariance(x, full) for x in self.classes)
        diagonal = pooled.diagonal() if full else pooled
        variance = diagonal.mean()
        pooled *= 1 - self.config.roundness
        diagonal += self.config.roundness * variance + self.model.noise
        share = total / (len(self.classes) * self.config.components)
        return em.Prior(pooled, self.config.prior * share)

    def _pixels(self, split: Split) -> tuple[Tensor, Tensor]:
        """Return pixels float64 [N, D] and labels, on the device."""
        images, labels = torch.as_tensor(whole(split.images)), torch.as_tensor(split.labels)
        return self.model.pixels(images.to(self.run.device)), labels.to(self.run.device)
