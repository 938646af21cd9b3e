"""Settings of the fine-tuning on a subject."""

from __future__ import annotations

from pydantic import Field

from models import text_to_image
from models.blocks.loop import Recipe


class Config(Recipe):
    """What a ``dreambooth`` can be told; an epoch of :class:`~models.blocks.loop.Recipe` is one of the prior images.

    Attributes:
        base: the settings of the model that it starts from; the train stage fills them in.
        images: pictures of the new classes that are learned from, spread evenly over those of the train split.
        prior_images: images of old classes that the model draws beforehand; each step takes ``batch_size`` of them
            and as many pictures of the subject.
        prior_weight: of the prior images' loss beside the subject's (Ruiz et al. 2023, equation 2, lambda).
    """

    base: text_to_image.Config = Field(default_factory=text_to_image.Config)
    images: int = Field(default=5, ge=1)
    prior_images: int = Field(default=200, ge=1)
    prior_weight: float = Field(default=1.0, ge=0)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about half a minute on a subject among digits."""
        return cls(
            prior_images=400,
            epochs=30,
            batch_size=32,
            learning_rate=1e-3,
            ema_decay=0.99,
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU, from a base of the full preset: smaller steps, more of them, more of what is to be remembered."""
        return cls(
            prior_images=4000,
            epochs=60,
            batch_size=64,
            learning_rate=1e-4,
            ema_decay=0.999,
        )
