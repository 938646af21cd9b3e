"""Settings of low-rank adaptation."""

from __future__ import annotations

from pydantic import Field

from models.text_to_image.config import Config as Base
from models.text_to_image.teaching import Teaching


class Config(Teaching):
    """What a ``lora`` can be told, beside what :class:`~models.text_to_image.teaching.Teaching` says.

    Attributes:
        rank: rows of A and columns of B.
        alpha: what B A x is multiplied by, times ``rank``: another rank then needs no other learning rate (Hu et al.
            2021, section 4.1).
    """

    images: int = Field(default=200, ge=1)
    rank: int = Field(default=6, ge=1)
    alpha: float = Field(default=12.0, gt=0)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about half a minute."""
        return cls(
            prior_images=800, new_share=1 / 3, epochs=20, batch_size=32, learning_rate=1e-2, weight_decay=0.0
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: on what the full preset of ``text_to_image`` makes."""
        return cls(
            base=Base.full(),
            images=1000,
            prior_images=1000,
            rank=8,
            alpha=8.0,
            epochs=100,
            least_steps=3000,
            batch_size=64,
            learning_rate=1e-3,
            weight_decay=0.0,
            ema_decay=0.999,
        )
