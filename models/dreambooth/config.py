"""Settings of subject-driven fine-tuning."""

from __future__ import annotations

from pydantic import Field

from models.text_to_image.config import Config as Base
from models.text_to_image.teaching import Teaching


class Config(Teaching):
    """What a ``dreambooth`` can be told: what :class:`~models.text_to_image.teaching.Teaching` says."""

    images: int = Field(default=5, ge=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about half a minute."""
        return cls(
            prior_images=400, plain_images=200, new_share=0.4, epochs=28, batch_size=32, learning_rate=2e-3
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: on what the full preset of ``text_to_image`` makes."""
        return cls(
            base=Base.full(),
            prior_images=1000,
            plain_images=500,
            new_share=0.4,
            epochs=100,
            least_steps=1500,
            batch_size=64,
            learning_rate=1e-4,
            ema_decay=0.999,
        )
