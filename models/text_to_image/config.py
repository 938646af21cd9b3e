"""Settings of the text-to-image model."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from models.blocks.diffusion_settings import Diffusing
from models.blocks.loop import Recipe


class Config(Diffusing):
    """What a ``text_to_image`` can be told; what :class:`~models.blocks.loop.Recipe` says is about the diffusion.

    Attributes:
        autoencoder_widths: features of the autoencoder at each resolution, finest first; each halves the one before,
            so that two give latents of half the sides, three of a quarter.
        autoencoder_depth: its residual blocks at each resolution, in the encoder and in the decoder.
        latents: numbers in one place of a latent.
        divergence_weight: of the latents' divergence from the normal distribution, beside the error of the pixels.
        autoencoder_epochs: passes over the train split for the autoencoder.
        autoencoder_steps: steps that it gets of a small data set nevertheless.
        autoencoder_learning_rate: its highest learning rate.
        text_width: length of a word's embedding.
        text_depth: layers of the transformer that reads the words.
        text_heads: heads of its attention; they divide ``text_width``.
        caption_dropout: share of the training images whose caption is hidden, for guidance.
    """

    autoencoder_widths: tuple[int, ...] = Field(default=(16, 32, 64), min_length=2)
    autoencoder_depth: int = Field(default=1, ge=1)
    latents: int = Field(default=8, ge=1)
    divergence_weight: float = Field(default=3e-3, ge=0)
    autoencoder_epochs: int = Field(default=5, ge=1)
    autoencoder_steps: int = Field(default=1, ge=1)
    autoencoder_learning_rate: float = Field(default=2e-3, gt=0)
    text_width: int = Field(default=64, ge=1)
    text_depth: int = Field(default=1, ge=0)
    text_heads: int = Field(default=4, ge=1)
    caption_dropout: float = Field(default=0.1, gt=0, lt=1)
    widths: tuple[int, ...] = Field(default=(64,), min_length=1)
    attention: int = Field(default=1, ge=1)
    guidance: float = Field(default=1.5, ge=0)

    @model_validator(mode="after")
    def _text_heads_divide_text_width(self) -> Self:
        if self.text_width % self.text_heads:
            raise ValueError(
                f"text_heads: {self.text_heads} do not divide the text_width of {self.text_width}"
            )
        return self

    def autoencoding(self) -> Recipe:
        """Return the recipe by which the autoencoder is trained."""
        own = {
            "epochs": self.autoencoder_epochs,
            "least_steps": self.autoencoder_steps,
            "learning_rate": self.autoencoder_learning_rate,
        }
        return Recipe(**{key: getattr(self, key) for key in Recipe.model_fields} | own)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about a minute and a half on digit captions."""
        return cls(
            epochs=12,
            batch_size=32,
            learning_rate=3e-3,
            ema_decay=0.995,
            autoencoder_epochs=6,
            autoencoder_learning_rate=3e-3,
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: latents of a quarter of the sides, wider, deeper, longer."""
        return cls(
            autoencoder_widths=(64, 128, 256),
            autoencoder_depth=2,
            autoencoder_epochs=60,
            autoencoder_learning_rate=5e-4,
            text_width=256,
            text_depth=4,
            text_heads=8,
            widths=(128, 256),
            depth=2,
            attention=2,
            heads=8,
            dropout=0.1,
            epochs=300,
            least_steps=40_000,
            batch_size=256,
            learning_rate=5e-4,
            ema_decay=0.9999,
            guidance=2.0,
            steps=25,
        )
