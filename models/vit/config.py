"""Settings of the vision transformer."""

from __future__ import annotations

from pydantic import Field

from models.blocks.classify import Classifying
from models.blocks.fine_tuning import FewShots
from models.blocks.patches import Patched


class Config(FewShots, Classifying, Patched):
    """What a ``vit`` can be told. A side that the patches do not fill is padded with the mean colour.

    Attributes:
        dropout: probability of dropping a number after the embedding, the attention and each feed-forward layer.
    """

    dropout: float = Field(default=0.0, ge=0, lt=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: seconds on digits, some minutes on Fashion-MNIST."""
        return cls(
            width=48,
            depth=3,
            hidden=192,
            dropout=0.1,
            label_smoothing=0.1,
            epochs=5,
            least_steps=600,
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
