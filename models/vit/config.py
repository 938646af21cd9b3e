"""Settings of the vision transformer."""

from __future__ import annotations

from pydantic import Field, model_validator

from models.blocks.augment import Augmented


class Config(Augmented):
    """What a ``vit`` can be told.

    Attributes:
        grid: patches a side at most. Their size is the side divided by it, rounded up; a side that they do not fill
            is padded with black.
        width: length of an embedding.
        depth: layers of the encoder.
        heads: heads of each attention; they divide ``width``.
        hidden: units of the feed-forward part of each layer.
        dropout: probability of dropping a number after the embedding, the attention and each feed-forward layer.
        label_smoothing: probability taken from the right class and spread over all (Szegedy et al. 2016).
    """

    grid: int = Field(default=7, ge=1)
    width: int = Field(default=64, ge=1)
    depth: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    hidden: int = Field(default=128, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Config:
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} do not divide the width of {self.width}")
        return self

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: seconds on digits, some minutes on Fashion-MNIST."""
        return cls(
            width=48,
            depth=3,
            hidden=192,
            dropout=0.1,
            label_smoothing=0.0,
            epochs=5,
            least_steps=300,
            batch_size=128,
            learning_rate=6e-3,
            weight_decay=0.2,
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: deeper, on patches of 2 pixels where images have 28, with crop and cutout, long."""
        return cls(
            grid=14,
            width=256,
            depth=8,
            heads=8,
            hidden=768,
            dropout=0.1,
            label_smoothing=0.1,
            shift=2,
            cutout=8,
            epochs=150,
            least_steps=10_000,
            batch_size=256,
            learning_rate=1e-3,
            weight_decay=0.1,
            ema_decay=0.999,
        )
