"""Settings of the neural network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from models.blocks.classify import Classifying


class Config(Classifying):
    """What an ``mlp`` can be told.

    Attributes:
        widths: units of each hidden layer; none makes it linear.
        activation: what follows each hidden layer.
        loss: ``cross_entropy``; ``mse`` of the probabilities against 0 and 1 (the Brier score); or ``multi_margin`` of
            the logits (Crammer & Singer 2001), whose probabilities mean little.
        dropout: probability of dropping a hidden unit.
    """

    widths: tuple[PositiveInt, ...] = (512, 512)
    activation: Literal["relu", "gelu", "silu", "tanh", "sigmoid"] = "relu"
    loss: Literal["cross_entropy", "mse", "multi_margin"] = "cross_entropy"
    dropout: float = Field(default=0.2, ge=0, lt=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: two seconds on digits, about a minute on Fashion-MNIST."""
        return cls(
            dropout=0.5, epochs=8, least_steps=250, batch_size=128, learning_rate=4e-3, weight_decay=0.05
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: wider, longer, on shifted images."""
        return cls(
            widths=(2048, 2048),
            dropout=0.4,
            shift=1,
            epochs=100,
            least_steps=5_000,
            batch_size=256,
            learning_rate=1e-3,
            weight_decay=0.1,
            ema_decay=0.999,
        )
