"""The problems of one width, which differ in the cost alone: what their solvers share, and the machine they become."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from models.svm import dual, kernel, primal
from models.svm.config import Config
from models.svm.kernel import WHITE
from models.svm.network import SupportVectorMachine
from models.svm.one_versus_one import Classifiers
from models.svm.rows import Rows

Examples = tuple[Tensor, Tensor]
"""Pixels uint8 [N, D] and labels int64 [N]."""
FINE = 1e-4
"""With a tolerance below this, ``hinge`` is solved in float64."""


class Problem(Protocol):
    """What the path over costs needs of the problems of one width."""

    gamma: float

    def solver(self, cost: float, start: dual.Solver | primal.Solver | None) -> dual.Solver | primal.Solver:
        """Return the solver of the problem with ``cost``, at the solution of ``start``, or at zero."""

    def put(self, model: SupportVectorMachine, solver: dual.Solver | primal.Solver) -> None:
        """Make ``model`` the solution; of the landmarks, those that count for any class."""


class Dual:
    """Hinge loss: every class against every other, exactly."""

    def __init__(self, config: Config, train: Examples, num_classes: int, gamma: float) -> None:
        self.images, labels = train
        self.tolerance, self.gamma = config.tolerance, gamma
        self.classifiers = Classifiers(labels, num_classes)
        self.centre = kernel.centre(self.images)
        dtype = torch.float64 if config.tolerance < FINE else torch.float32
        self.linear = config.kernel == "linear"
        x = self.images.to(dtype) - self.centre.to(dtype)
        self.rows = Rows(x, self.classifiers, None if self.linear else gamma, 2 * dual.WORKING)

    def solver(self, cost: float, start: dual.Solver | None) -> dual.Solver:
        """See :class:`Problem`."""
        return dual.Solver(self.rows, cost, self.tolerance, start)

    def put(self, model: SupportVectorMachine, solver: dual.Solver) -> None:
        """See :class:`Problem`."""
        classifiers = self.classifiers
        alpha = classifiers.by_image(solver.beta, len(self.images)).abs().double()
        own = [
            members[:count] for members, count in zip(classifiers.members, classifiers.counts, strict=True)
        ]
        bias = alpha.new_zeros(len(own), len(own))
        bias[classifiers.classes[:, 0], classifiers.classes[:, 1]] = solver.bias()
        bias = bias - bias.T
        if self.linear:  # from a weight of each image to one of each pixel
            x = (self.images.double() - self.centre) / WHITE
            sides = torch.stack([x[images].T @ alpha[images] for images in own], dim=1)
            model.put(self.centre, sides.flatten(1), bias, None, self.gamma)
            return
        own = [images[(alpha[images] != 0).any(dim=1)] for images in own]
        support, counts = torch.cat(own), classifiers.counts.new_tensor([len(images) for images in own])
        model.put(self.centre, alpha[support], bias, self.images[support], self.gamma, counts)


class Primal:
    """Squared hinge loss: every class against the rest, on landmarks or, linear, on pixels.

    ``chosen`` int64 [M] says which training images are landmarks.
    """

    def __init__(
        self, config: Config, train: Examples, num_classes: int, gamma: float, chosen: Tensor
    ) -> None:
        images, self.labels = train
        self.num_classes, self.gamma = num_classes, gamma
        self.centre = kernel.centre(images)
        self.landmarks = images[chosen] if config.kernel == "rbf" else None
        dtype = torch.float64 if len(images) <= config.landmarks else torch.float32
        matrix = kernel.matrix(images, self.centre, self.landmarks, gamma, dtype)
        if self.landmarks is None:
            self.features = primal.Features.of_pixels(matrix)
        else:
            own = kernel.matrix(self.landmarks, self.centre, self.landmarks, gamma, torch.float64)
            self.features = primal.Features.of_landmarks(matrix, own)

    def solver(self, cost: float, start: primal.Solver | None) -> primal.Solver:
        """See :class:`Problem`."""
        theta = None if start is None else start.theta
        return primal.Solver(self.features, self.labels, self.num_classes, cost, theta)

    def put(self, model: SupportVectorMachine, solver: primal.Solver) -> None:
        """See :class:`Problem`."""
        (coefficients, bias), landmarks = solver.solution(), self.landmarks
        if landmarks is not None:
            counts = (coefficients != 0).any(dim=1)
            landmarks, coefficients = landmarks[counts], coefficients[counts]
        model.put(self.centre, coefficients, bias, landmarks, self.gamma)


def build(config: Config, train: Examples, num_classes: int, gamma: float, chosen: Tensor) -> Problem:
    """Return the problems of width ``gamma``, for pixels in [0, 1]; ``chosen`` are the landmarks, if there are any."""
    if config.loss == "hinge":
        return Dual(config, train, num_classes, gamma)
    return Primal(config, train, num_classes, gamma, chosen)


def landmarks(config: Config, num_images: int, generator: torch.Generator) -> Tensor:
    """Draw which training images are landmarks: int64 [M], ascending."""
    order = torch.randperm(num_images, generator=generator, device=generator.device)
    return order[: config.landmarks].sort().values
