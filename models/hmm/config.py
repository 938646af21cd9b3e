"""Settings of the hidden Markov models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings import Settings


class Config(Settings):
    """What an ``hmm`` can be told.

    Attributes:
        strip: image rows that are one observation (strips as in Nefian & Hayes 1998, "Hidden Markov models for face
            recognition"); the height of an image is a multiple of it. Higher ones leave less to the chain and more
            to the states: better classes, lower likelihood.
        topology: ``ergodic``, where every state may follow every other, or ``left_right``, which starts in the
            first state and either stays or goes on to the next one at each strip (Bakis 1976).
        states: hidden states of each class's chain.
        prior: how strongly every variance is pulled towards the one pooled over all states of all classes: the
            number of its pseudo-rows for each real one of an even share.
        roundness: how far those pooled variances themselves are pulled towards their mean. More of it makes
            columns that never change in training less decisive: better classes, lower likelihood.
        smoothing: pseudo-count of every transition that the topology allows. None of them is then impossible,
            which the scaled recursions rely on.
        height: what the height of a row, 0 to 1 from top to bottom, counts beside its pixels where the ergodic start
            clusters rows into states: more of it makes states of places rather than of looks.
        iterations: greatest number of iterations of Baum-Welch.
        tolerance: Baum-Welch ends when its objective (nats an image) improves by less.
    """

    strip: int = Field(default=1, ge=1)
    topology: Literal["ergodic", "left_right"] = "ergodic"
    states: int = Field(default=32, ge=1)
    prior: float = Field(default=3.0, ge=0)
    roundness: float = Field(default=0.05, ge=0, le=1)
    smoothing: float = Field(default=0.01, ge=1e-3)
    height: float = Field(default=3.0, ge=0)
    iterations: int = Field(default=20, ge=1)
    tolerance: float = Field(default=0.1, ge=0)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: a second on digits, where more states than this only learn the examples by heart."""
        return cls()

    @classmethod
    def full(cls) -> Config:
        """One GPU: many thousands of larger images, more states. Further iterations are likelier and classify worse."""
        return cls(strip=4, states=256, prior=10.0, height=1.0, iterations=5)
