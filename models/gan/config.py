"""Settings of the generative adversarial network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from models.blocks.adversarial_loop import AdversarialRecipe


class Config(AdversarialRecipe):
    """What a ``gan`` can be told.

    Attributes:
        architecture: ``linear`` blocks, or ``convolutional`` ones, each with a picture twice (half) the last one's.
        latents: numbers in the noise.
        widths: units, or channels, of the generator's blocks in their order; the discriminator's are the reverse.
        conditional: whether both are told the class, and images are asked for by class.
        gradient_penalty: weight of the penalty on the discriminator's gradient: ``wasserstein_gp`` holds its norm
            near 1 between real and generated images, the other losses hold it low at real ones (R1; 0: no penalty).
    """

    architecture: Literal["linear", "convolutional"] = "linear"
    latents: int = Field(default=32, ge=1)
    widths: tuple[int, ...] = Field(default=(128, 256), min_length=1)
    conditional: bool = True
    gradient_penalty: float = Field(default=0.3, ge=0)

    @model_validator(mode="after")
    def _bound_the_critic(self) -> Config:
        if self.loss == "wasserstein_gp" and self.gradient_penalty == 0:
            raise ValueError("loss 'wasserstein_gp' needs a gradient_penalty above 0, such as 10")
        return self

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: half a minute on digits, minutes on Fashion-MNIST."""
        return cls(epochs=10, least_steps=4000)

    @classmethod
    def full(cls) -> Config:
        """One GPU: convolutional, wide, long."""
        return cls(
            architecture="convolutional",
            latents=128,
            widths=(512, 256, 128),
            epochs=200,
            least_steps=50_000,
            batch_size=128,
            learning_rate=2e-4,
            discriminator_learning_rate=2e-4,
            gradient_penalty=1.0,
            ema_decay=0.9995,
        )
