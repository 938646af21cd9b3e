"""Settings of the image-to-image network."""

from __future__ import annotations

from pydantic import Field

from models.blocks.adversarial_loop import AdversarialRecipe


class Config(AdversarialRecipe):
    """What a ``pix2pix`` can be told.

    Attributes:
        widths: channels of the generator at each scale, from the whole picture down; each scale has half the last
            one's sides, and scales below a side of 2 pixels are left out.
        dropout: probability of dropping a feature on the generator's way up, in training.
        patch_width: channels of the discriminator's first layer; each further one has twice as many.
        patch_layers: layers of the discriminator that halve the picture: the more, the larger the patches.
        l1_weight: of the L1 distance to the right image, on [0, 1], beside the adversarial loss.
    """

    widths: tuple[int, ...] = Field(default=(32, 64, 128), min_length=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    patch_width: int = Field(default=32, ge=1)
    patch_layers: int = Field(default=1, ge=0)
    l1_weight: float = Field(default=100.0, ge=0)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: seconds on digit edges, minutes on fashion edges."""
        return cls(
            widths=(16, 48, 96),
            patch_width=16,
            epochs=1,
            least_steps=500,
            batch_size=32,
            learning_rate=2e-3,
            discriminator_learning_rate=5e-4,
            beta1=0.5,
            ema_decay=0.99,
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: wider, deeper, larger patches, longer, at the paper's rates."""
        return cls(
            widths=(64, 128, 256, 512),
            dropout=0.3,
            patch_width=64,
            patch_layers=2,
            epochs=60,
            least_steps=20_000,
            batch_size=64,
            learning_rate=4e-4,
            discriminator_learning_rate=4e-4,
            beta1=0.5,
            beta2=0.999,
            ema_decay=0.999,
        )
