"""Settings of the variational autoencoder."""

from __future__ import annotations

from pydantic import Field

from models.blocks.loop import Recipe


class Config(Recipe):
    """What a ``vae`` can be told.

    Attributes:
        latents: numbers in ``z``.
        width: hidden units of the encoder's and the decoder's layers.
        depth: residual layers in each of the two.
        dropout: probability of dropping a hidden unit of the encoder while training.
        mixture: logistic distributions mixed in each pixel's probabilities.
        conditional: whether encoder and decoder are told the class, and images are asked for by class.
        draws: samples of ``z`` an image in the importance-weighted bound.
    """

    latents: int = Field(default=16, ge=1)
    width: int = Field(default=192, ge=1)
    depth: int = Field(default=1, ge=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    mixture: int = Field(default=3, ge=1)
    conditional: bool = False
    draws: int = Field(default=64, ge=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: seconds on digits, about three minutes on Fashion-MNIST."""
        return cls(epochs=4, least_steps=450, draws=32, batch_size=128, learning_rate=3e-3)

    @classmethod
    def full(cls) -> Config:
        """One GPU: wider, deeper, longer."""
        return cls(
            latents=32,
            width=1024,
            depth=4,
            epochs=200,
            least_steps=20_000,
            batch_size=256,
            learning_rate=1e-3,
            weight_decay=0.01,
            ema_decay=0.999,
        )
