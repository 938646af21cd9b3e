"""The fitted mixtures as a model: likelihood of discrete images and class posterior."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn

from data import at_once
from data.prepared import DataSpec
from models.blocks.pixels import level, unit
from models.gmm import em
from models.gmm.config import Config

CHUNK = 1000
"""Images computed on at a time at most."""
NUMBERS = 2**26
"""Differences of pixels and means that are held at a time."""
MATRICES = 2**30
"""Bytes that full covariance matrices, those of all components, take at most."""


class GaussianMixtures(nn.Module):
    """A mixture per class, ready to be evaluated. Buffers, float64, for K classes, M components and D pixels:

    ``means`` [K, M, D]; ``scales`` [K, M, D, D] or [K, M, D], see :mod:`models.gmm.em`; ``constants`` [K, M], the
    part of ``log p(x, class, component)`` that does not depend on ``x``.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.levels, self.dim = config, spec.levels, math.prod(spec.shape)
        leading = (spec.num_classes, config.components)
        self.full = takes_full(config, spec)
        square = (self.dim, self.dim) if self.full else (self.dim,)
        self.register_buffer("means", torch.zeros(*leading, self.dim, dtype=torch.float64))
        self.register_buffer("scales", torch.zeros(*leading, *square, dtype=torch.float64))
        self.register_buffer("constants", torch.zeros(leading, dtype=torch.float64))

    @property
    def noise(self) -> float:
        """Variance of a pixel that is spread uniformly over the cell of its level."""
        return 1 / (12 * self.levels**2)

    def put(self, label: int, share: float, mixture: em.Mixture) -> None:
        """Make ``mixture`` the density of class ``label``, which ``share`` of all examples belong to."""
        self.means[label] = mixture.means
        self.scales[label] = mixture.scales
        self.constants[label] = math.log(share) + em.constants(
            mixture.log_weights, self.scales[label], self.noise
        )

    def pixels(self, images_nhwc: Tensor) -> Tensor:
        """Return the middles of the pixels' cells, [N, D] in (0, 1), in the model's precision."""
        k = level(unit(images_nhwc), self.levels).flatten(1)
        return (k.to(self.means.dtype) + 0.5) / self.levels

    def forward(self, images_nhwc: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C] to ``log p(levels, class)`` [N, K], in nats, a lower bound.

        The probability of an image on its discrete levels is the density's mean over the cells; the mean of its
        logarithm is below it (Theis et al. 2016). That mean is taken in closed form inside each component, where
        it is below the mean of the mixture's logarithm, as log-sum-exp is convex. So nothing needs to be drawn.
        """
        x = self.pixels(images_nhwc)
        means, scales = self.means.flatten(0, 1), self.scales.flatten(0, 1)
        centred = x - means[:, None]  # [KM, N, D]
        white = centred @ scales if scales.ndim == 3 else centred * scales[:, None]
        joint = self.constants.flatten() - 0.5 * white.square().sum(dim=2).T
        by_class = joint.reshape(-1, *self.constants.shape).logsumexp(dim=2)
        return by_class - self.dim * math.log(self.levels)


class Graph(nn.Module):
    """What is exported: uint8 images in, log-likelihood and class posterior out, in float32."""

    def __init__(self, model: GaussianMixtures) -> None:
        super().__init__()
        self.mixtures = copy.deepcopy(model).float()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 [N, H, W, C] to log-likelihood [N] (nats, on the levels) and posterior [N, K]."""
        joint = self.mixtures(image)
        return joint.logsumexp(dim=1), joint.softmax(dim=1)


def takes_full(config: Config, spec: DataSpec) -> bool:
    """Return whether covariances are full matrices; that follows from the settings and the shapes alone."""
    needed = 8 * spec.num_classes * config.components * math.prod(spec.shape) ** 2
    return config.covariance == "full" and needed <= MATRICES


def build(config: Config, spec: DataSpec) -> GaussianMixtures:
    """Return the model, empty."""
    return GaussianMixtures(config, spec)


def graph(model: GaussianMixtures) -> Graph:
    """Return the module to export."""
    return Graph(model).eval()


@torch.no_grad()
def log_likelihood(model: GaussianMixtures, images_nhwc: np.ndarray, seed: int) -> np.ndarray:
    """Return nats per image, float64 [N], of uint8 [N, H, W, C] on the levels: a lower bound, see ``forward``.

    It is in closed form: ``seed`` changes nothing.
    """
    images = torch.as_tensor(images_nhwc).to(model.means.device)
    size = at_once.pictures((model.constants.numel(), model.dim), CHUNK, NUMBERS)
    joint = torch.cat([model(chunk) for chunk in images.split(size)])
    return joint.logsumexp(dim=1).cpu().numpy()
