"""Settings of controlled generation."""

from __future__ import annotations

from pydantic import Field

from models.blocks.loop import Recipe
from models.text_to_image.config import Config as Base


class Config(Recipe):
    """What a ``controlnet`` can be told, beside what :class:`~models.blocks.loop.Recipe` says.

    Attributes:
        base: the settings of the model that it starts from.
        hint_width: features of the edge map before it is brought to the latents' size.
        caption_dropout: share of the training images whose caption is hidden: what the edge map alone tells is learned
            then, too (section 3.4).
        guidance: how far to go from what the locked model answers to nothing towards the answer to map and caption.
    """

    base: Base = Base()
    hint_width: int = Field(default=32, ge=1)
    caption_dropout: float = Field(default=0.1, ge=0, lt=1)
    guidance: float = Field(default=2.0, ge=0)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about a minute and a half."""
        return cls(epochs=14, batch_size=32, learning_rate=4e-3)

    @classmethod
    def full(cls) -> Config:
        """One GPU: on what the full preset of ``text_to_image`` makes."""
        return cls(
            base=Base.full(),
            hint_width=64,
            epochs=60,
            least_steps=10_000,
            batch_size=128,
            learning_rate=2e-4,
            ema_decay=0.999,
        )
