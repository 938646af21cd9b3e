"""Settings of the logistic regression."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from models.settings import Settings


class Config(Settings):
    """What a ``logreg`` can be told.

    Attributes:
        penalties: weights of ``0.5 * |w|^2`` beside the summed cross-entropy (scikit-learn's ``1 / C``), tried
            from the strongest on, each from the last one's optimum, until the validation loss rises; the best
            is kept.
        tolerance: the solver ends when no entry of the mean loss's gradient is larger.
        iterations: greatest number of L-BFGS iterations for each penalty.
    """

    penalties: tuple[PositiveFloat, ...] = Field(default=(30.0, 10.0, 3.0, 1.0, 0.3, 0.1), min_length=1)
    tolerance: float = Field(default=1e-4, gt=0)
    iterations: int = Field(default=400, ge=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: a second on digits, under a minute on Fashion-MNIST."""
        return cls()

    @classmethod
    def full(cls) -> Config:
        """One GPU: more penalties, solved more exactly."""
        return cls(penalties=(300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3), tolerance=1e-6, iterations=2000)
