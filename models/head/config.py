"""Settings of the head model."""

from __future__ import annotations

from pydantic import Field

from models.blocks.adversarial_loop import AdversarialRecipe


class Config(AdversarialRecipe):
    """What a ``head`` can be told.

    Attributes:
        embedding: numbers that say who somebody is.
        widths: channels of the generator at the picture's size, at half and at a quarter of it.
        blocks: residual blocks at a quarter of the size.
        embedder_width: channels of the embedder's first layer; each further one has twice as many.
        patch_width: channels of the discriminator's first layer; the second has twice as many.
        sharpness: half the width of a landmark's spot, as a share of the picture's side.
        shots: greatest number of pictures of a person that are shown in training; at least one.
        l1_weight: of the L1 distance to the right image, on [0, 1], beside the adversarial loss.
        personal_steps: steps of the fine-tuning on the pictures of somebody new.
        personal_learning_rate: its rate.
    """

    embedding: int = Field(default=64, ge=1)
    widths: tuple[int, int, int] = (24, 48, 72)
    blocks: int = Field(default=2, ge=0)
    embedder_width: int = Field(default=16, ge=1)
    patch_width: int = Field(default=16, ge=1)
    sharpness: float = Field(default=0.03, gt=0)
    shots: int = Field(default=8, ge=1)
    l1_weight: float = Field(default=100.0, ge=0)
    personal_steps: int = Field(default=40, ge=1)
    personal_learning_rate: float = Field(default=1e-3, gt=0)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about a minute on the 2,000 embedded faces."""
        return cls(
            epochs=2,
            least_steps=400,
            batch_size=24,
            learning_rate=4e-3,
            discriminator_learning_rate=5e-4,
            beta1=0.5,
            ema_decay=0.99,
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: wider, longer, for tens of thousands of faces."""
        return cls(
            embedding=256,
            widths=(64, 128, 256),
            blocks=4,
            embedder_width=48,
            patch_width=64,
            epochs=100,
            least_steps=40_000,
            batch_size=64,
            learning_rate=4e-4,
            discriminator_learning_rate=4e-4,
            beta1=0.5,
            beta2=0.999,
            ema_decay=0.999,
            personal_steps=100,
        )
