"""The decision function and its calibrated probabilities."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from data.prepared import DataSpec
from models.svm.config import Config
from models.svm.kernel import WHITE, rbf

SMALL = 4096
"""Numbers of a picture up to which the exported graph computes distances in float32. At 128 x 128 x 3 two orders of
summation were seen to differ by 2e-4 in a probability, which is twice the tolerance."""


class SupportVectorMachine(nn.Module):
    """Kernels with the landmarks, weighted. Buffers, float64, for D pixels, M landmarks and K classes:

    ``centre`` [D], whole grey levels; ``landmarks`` uint8 [M, D], none for the linear kernel; ``gamma`` and
    ``temperature``, one number each; ``coefficients`` [M, K] and ``bias`` [K]. For the linear kernel the coefficients
    are of pixels, [D, K].

    For ``hinge`` the landmarks are the support vectors, sorted by class, ``counts`` int64 [K] of each; ``coefficients``
    [M, K] are of each against each other class, and ``bias`` is [K, K]. Linear, they are [D, K * K].
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        dim, self.num_classes = math.prod(spec.shape), spec.num_classes
        one_versus_one = config.loss == "hinge"
        height = dim if config.kernel == "linear" else 0
        width = self.num_classes**2 if one_versus_one and config.kernel == "linear" else self.num_classes
        bias = (self.num_classes,) * (2 if one_versus_one else 1)
        self.register_buffer("centre", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("landmarks", torch.zeros(0, dim, dtype=torch.uint8))
        self.register_buffer("counts", torch.zeros(self.num_classes, dtype=torch.int64))
        self.register_buffer("coefficients", torch.zeros(height, width, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(bias, dtype=torch.float64))
        self.register_buffer("gamma", torch.ones((), dtype=torch.float64))
        self.register_buffer("temperature", torch.ones((), dtype=torch.float64))
        self.sizes = self.counts.tolist()

    def forward(self, images_nhwc: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C] to decision values, in the precision of the coefficients.

        The precision of the centre is that of the distances.

        Returns:
            [N, K], each class against the rest; for ``hinge`` [N, K, K], the row's class against the column's.
        """
        x = images_nhwc.flatten(1).to(self.centre.dtype) - self.centre
        if self.config.loss == "hinge":
            sides = self._sides(x)
            return sides - sides.mT + self.bias
        return self._features(x, self.landmarks) @ self.coefficients + self.bias

    def scores(self, images_nhwc: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C] to [N, K], which tells the classes apart: the highest is the predicted one.

        For ``hinge``, by how much a class falls short where it loses one versus one: finer than the count of losses,
        which has ties.
        """
        decisions = self(images_nhwc)
        return decisions.clamp(max=0).sum(dim=2) if self.config.loss == "hinge" else decisions

    def put(
        self,
        centre: Tensor,
        coefficients: Tensor,
        bias: Tensor,
        landmarks: Tensor | None,
        gamma: float,
        counts: Tensor | None = None,
    ) -> None:
        """Become the machine with these parts; see the class."""
        self.centre.copy_(centre)
        self.bias.copy_(bias)
        self.coefficients = coefficients.to(self.bias.dtype)
        if landmarks is not None:
            self.landmarks = landmarks
        if counts is not None:
            self.counts.copy_(counts)
            self.sizes = counts.tolist()
        self.gamma.fill_(gamma)

    def _sides(self, x: Tensor) -> Tensor:
        """Return what each class's images add to its classifier against each other class: [N, K, K]."""
        if self.config.kernel == "linear":
            shape = (self.num_classes, self.num_classes)
            return (self._features(x, self.landmarks) @ self.coefficients).unflatten(1, shape)
        parts = zip(self.landmarks.split(self.sizes), self.coefficients.split(self.sizes), strict=True)
        return torch.stack([self._features(x, images) @ weights for images, weights in parts], dim=1)

    def _features(self, x: Tensor, landmarks: Tensor) -> Tensor:
        precise = self.coefficients.dtype
        if self.config.kernel == "linear":
            return x.to(precise) / WHITE
        return rbf(x, landmarks.to(x.dtype) - self.centre, self.gamma, precise)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        # How many landmarks there are follows from the training data, not from the settings.
        for name in ("landmarks", "coefficients"):
            stored = state_dict.get(prefix + name)
            if stored is not None:
                setattr(self, name, getattr(self, name).new_empty(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.sizes = self.counts.tolist()


class Graph(nn.Module):
    """What is exported: uint8 images in, class probabilities out, in float32.

    So are the distances, which are whole numbers and most of the work, of pictures of up to :data:`SMALL` numbers. The
    rest is float64: thousands of large coefficients of either sign cancel to a decision near 0, where float32 is off in
    the fourth digit. Distances of larger pictures are sums that float32 rounds, so that they are float64, too.
    """

    def __init__(self, model: SupportVectorMachine) -> None:
        super().__init__()
        self.machine = copy.deepcopy(model)
        if model.centre.numel() <= SMALL:
            self.machine.centre = model.centre.float()

    def forward(self, image: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C] to class probabilities float32 [N, K]."""
        return (self.machine.scores(image) / self.machine.temperature).softmax(dim=1).float()


def build(config: Config, spec: DataSpec) -> SupportVectorMachine:
    """Return the machine without landmarks: it decides nothing yet."""
    return SupportVectorMachine(config, spec)


def graph(model: SupportVectorMachine) -> Graph:
    """Return the module to export."""
    return Graph(model).eval()
