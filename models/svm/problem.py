"""One width's kernel on the training and the validation images, and what the solvers make of it."""

from __future__ import annotations

import torch
from torch import Tensor

from data.errors import UserError
from models.svm import dual, kernel, primal
from models.svm.config import Config
from models.svm.network import SupportVectorMachine

MOST = 20_000
"""Training images whose kernel with each other still fits memory: 3.2 GB."""

Examples = tuple[Tensor, Tensor]
"""Pixels uint8 [N, D] and labels int64 [N]."""


class Problem:
    """The problems of one width: they differ in the cost alone.

    Args:
        config: the family's settings.
        train: the training examples.
        held_out: uint8 [V, D], the validation images.
        num_classes: K.
        gamma: the width, for pixels in [0, 1].
        chosen: int64 [M], which training images are landmarks.
    """

    def __init__(
        self,
        config: Config,
        train: Examples,
        held_out: Tensor,
        num_classes: int,
        gamma: float,
        chosen: Tensor,
    ) -> None:
        self.config, self.gamma, self.num_classes = config, gamma, num_classes
        images, self.labels = train
        self.centre = kernel.centre(images)
        self.landmarks = images[chosen] if config.kernel == "rbf" else None
        exact = config.loss == "hinge" or len(images) <= config.landmarks
        dtype = torch.float64 if exact else torch.float32

        def matrix(images: Tensor, dtype: torch.dtype = dtype) -> Tensor:
            return kernel.matrix(images, self.centre, self.landmarks, gamma, dtype)

        self.held_out, self.matrix = matrix(held_out), matrix(images)
        if config.loss == "hinge":
            self.gram = self.matrix if self.landmarks is not None else self.matrix @ self.matrix.T
        elif self.landmarks is not None:
            own = matrix(self.landmarks, torch.float64)
            self.features = primal.Features.of_landmarks(self.matrix, own)
        else:
            self.features = primal.Features.of_pixels(self.matrix)

    def solver(self, cost: float, start: Tensor | None) -> primal.Solver | dual.Solver:
        """Return the solver of the problem with ``cost``, at ``start``, the ``theta`` of another, or at zero."""
        if self.config.loss == "hinge":
            return dual.Solver(self.gram, self.labels, self.num_classes, cost, start)
        return primal.Solver(self.features, self.labels, self.num_classes, cost, start)

    def decide(self, solver: primal.Solver | dual.Solver) -> Tensor:
        """Return the decision values [V, K] of the validation images."""
        coefficients, bias = self._solution(solver)
        return self.held_out @ coefficients + bias

    def put(
        self, model: SupportVectorMachine, solver: primal.Solver | dual.Solver, temperature: float
    ) -> None:
        """Make ``model`` the solution; of the landmarks, those that count for any class."""
        coefficients, bias = self._solution(solver)
        landmarks = self.landmarks
        if landmarks is not None:
            counts = (coefficients != 0).any(dim=1)
            landmarks, coefficients = landmarks[counts], coefficients[counts]
        model.put(self.centre, coefficients, bias, landmarks, self.gamma, temperature)

    def _solution(self, solver: primal.Solver | dual.Solver) -> tuple[Tensor, Tensor]:
        coefficients, bias = solver.solution()
        if (
            self.config.loss == "hinge" and self.landmarks is None
        ):  # from a weight of each image to one of each pixel
            coefficients = self.matrix.T @ coefficients
        return coefficients, bias


def landmarks(config: Config, num_images: int, generator: torch.Generator) -> Tensor:
    """Draw which training images are landmarks: all for the hinge loss, else as many as the settings say.

    Returns:
        int64 [M], ascending.

    Raises:
        UserError: the hinge loss is asked for with more than :data:`MOST` images.
    """
    if config.loss == "hinge":
        if num_images > MOST:
            raise UserError(
                f"svm: loss 'hinge' keeps the kernel of all pairs of images in memory: {num_images} are more than"
                f" {MOST}. Set loss: squared_hinge in the model's overrides in params.yaml."
            )
        return torch.arange(num_images, device=generator.device)
    order = torch.randperm(num_images, generator=generator, device=generator.device)
    return order[: config.landmarks].sort().values
