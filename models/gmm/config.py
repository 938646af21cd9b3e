"""Settings of the Gaussian mixtures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings import Settings


class Config(Settings):
    """What a ``gmm`` can be told.

    Attributes:
        components: Gaussians for each class.
        covariance: ``full`` matrices or ``diag`` variances. The memory of matrices grows with the square of the pixels:
            where those of all components would take more than 1 GiB, ``full`` is variances, too.
        prior: how strongly every covariance is pulled towards the one pooled over all classes: the number of its
            pseudo-examples for each real one of an even share (Friedman 1989 mixes the two likewise).
        roundness: how far that pooled covariance itself is pulled towards a ball of the same mean variance. More
            of it makes pixels that never change in training less decisive: better classes, lower likelihood.
        iterations: greatest number of EM iterations.
        tolerance: EM ends when its objective (nats an image) improves by less.
    """

    components: int = Field(default=3, ge=1)
    covariance: Literal["full", "diag"] = "full"
    prior: float = Field(default=5.0, ge=0)
    roundness: float = Field(default=0.05, ge=0, le=1)
    iterations: int = Field(default=12, ge=1)
    tolerance: float = Field(default=0.1, ge=0)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: a second on digits, a few minutes on Fashion-MNIST."""
        return cls()

    @classmethod
    def full(cls) -> Config:
        """One GPU: more components, to convergence."""
        return cls(components=8, iterations=200, tolerance=0.01)
