"""Settings of the support vector machine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat

from models.settings import Settings


class Config(Settings):
    """What an ``svm`` can be told.

    Attributes:
        kernel: ``linear``, or ``rbf``: ``exp(-gamma * |x - z|^2)``.
        loss: ``hinge`` is solved exactly, every class against every other, in a time that grows with the square of the
            training images; ``squared_hinge`` on the landmarks, every class against the rest.
        landmarks: training images that the decision function of ``rbf`` with ``squared_hinge`` is made of. With as
            many as there are, the solution is exact and computed in float64.
        gammas: widths of ``rbf`` to try, from the smoothest on, in multiples of 1 / (pixels * their variance), which
            is scikit-learn's ``gamma="scale"``. ``linear`` has no width.
        costs: weights ``C`` of the summed losses beside ``0.5 * |w|^2``, tried for each width from the smallest on,
            each from the last one's solution, until the validation loss rises.
        tolerance: ``squared_hinge``: the solver ends when a step lowers the objective by at most this share;
            ``hinge``: when no pair of multipliers violates the conditions of the optimum by more.
        iterations: greatest number of steps of the solver for each width and cost.
    """

    kernel: Literal["linear", "rbf"] = "rbf"
    loss: Literal["hinge", "squared_hinge"] = "squared_hinge"
    landmarks: int = Field(default=3000, ge=1)
    gammas: tuple[PositiveFloat, ...] = Field(default=(1.5, 3.0), min_length=1)
    costs: tuple[PositiveFloat, ...] = Field(default=(3.0, 10.0), min_length=1)
    tolerance: float = Field(default=1e-3, gt=0)
    iterations: int = Field(default=1000, ge=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: seconds on digits, minutes on Fashion-MNIST."""
        return cls()

    @classmethod
    def full(cls) -> Config:
        """Exactly, over a finer path: seconds to minutes on one GPU, and still minutes on a CPU."""
        return cls(loss="hinge", gammas=(1.0, 2.0, 3.0), costs=(3.0, 10.0, 30.0))
