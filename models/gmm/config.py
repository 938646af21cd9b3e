"""Settings of the Gaussian mixtures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings import Settings


class Config(Settings):
    """What a ``gmm`` can be told.

    Attributes:
        components: Gaussians for each class.
        covariance: ``full`` matrices or ``diag`` variances.
        prior: how many pseudo-examples per pixel pull every covariance towards the one pooled over all classes.
        iterations: at most so many EM iterations.
        tolerance: EM ends when the mean log-likelihood (nats an image) rises by less.
    """

    components: int = Field(default=4, ge=1)
    covariance: Literal["full", "diag"] = "full"
    prior: float = Field(default=0.25, ge=0)
    iterations: int = Field(default=20, ge=1)
    tolerance: float = Field(default=0.1, ge=0)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: a second on digits, a few minutes on Fashion-MNIST."""
        return cls()

    @classmethod
    def full(cls) -> Config:
        """One GPU: more components, to convergence."""
        return cls(components=12, iterations=200, tolerance=0.01)
