"""Settings of the recurrent network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.blocks.classify import Classifying


class Config(Classifying):
    """What an ``rnn`` can be told.

    Attributes:
        cell: ``vanilla`` (tanh), ``lstm`` or ``gru``.
        width: hidden units of each layer.
        depth: layers, each reading the hidden states of the one below.
        dropout: probability of dropping a hidden unit between layers and before the last weight.
    """

    cell: Literal["vanilla", "lstm", "gru"] = "gru"
    width: int = Field(default=128, ge=1)
    depth: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: seconds on digits, some minutes on Fashion-MNIST."""
        return cls(width=192, dropout=0.5, epochs=6, least_steps=300, batch_size=128, learning_rate=5e-3)

    @classmethod
    def full(cls) -> Config:
        """One GPU: two wide layers, longer, on shifted images."""
        return cls(
            width=512,
            depth=2,
            dropout=0.3,
            shift=1,
            epochs=60,
            least_steps=5_000,
            batch_size=256,
            learning_rate=1e-3,
            weight_decay=0.05,
            ema_decay=0.999,
        )
