"""Settings of the diffusion model."""

from __future__ import annotations

from pydantic import Field

from models.blocks.diffusion_settings import Diffusing


class Config(Diffusing):
    """What a ``ddpm`` can be told.

    Attributes:
        patch: pixels a side of one place of the finest resolution, in pictures of 16 or more pixels.
        conditional: learn the classes too, so that one can be asked for.
        label_dropout: share of the training images whose class is hidden, for guidance and for filling in.
    """

    patch: int = Field(default=2, ge=1)
    conditional: bool = True
    label_dropout: float = Field(default=0.1, gt=0, lt=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about a minute on digits, a quarter of an hour on Fashion-MNIST."""
        return cls(epochs=5, least_steps=1500, batch_size=64, learning_rate=4e-3, ema_decay=0.995)

    @classmethod
    def full(cls) -> Config:
        """One GPU: full resolution, wider, deeper, longer."""
        return cls(
            widths=(128, 256, 256),
            depth=2,
            attention=2,
            heads=4,
            patch=1,
            dropout=0.1,
            epochs=300,
            least_steps=40_000,
            batch_size=256,
            learning_rate=5e-4,
            ema_decay=0.9999,
            steps=25,
        )
