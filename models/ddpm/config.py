"""Settings of the diffusion model."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from models.blocks.diffusion import Prediction, ScheduleName
from models.blocks.loop import Recipe
from models.blocks.samplers import SamplerName


class Config(Recipe):
    """What a ``ddpm`` can be told.

    Attributes:
        widths: features of the U-Net at each resolution, finest first; each halves the one before.
        depth: residual blocks at each resolution, on the way down and on the way up.
        attention: at how many of the coarsest resolutions places attend to each other.
        heads: heads of each attention; they divide the widths that have one.
        patch: pixels a side of one place of the finest resolution, in pictures of 16 or more pixels.
        dropout: probability of dropping a feature inside a residual block while training.
        schedule: how noise comes in: ``cosine`` or ``linear``.
        prediction: what the network answers: ``v`` or ``epsilon``.
        times: how many times the forward process has.
        conditional: learn the classes too, so that one can be asked for.
        label_dropout: share of the training images whose class is hidden, for guidance and for filling in.
        guidance: how far to go from the answer without a class towards the one with it; 1 is just that one, which
            takes half the time.
        sampler: ``dpm_solver``, ``ddim`` or ``ancestral``.
        steps: steps of the sampler, at most ``times``.
    """

    widths: tuple[int, ...] = Field(default=(32, 64), min_length=1)
    depth: int = Field(default=1, ge=1)
    attention: int = Field(default=1, ge=0)
    heads: int = Field(default=4, ge=1)
    patch: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    schedule: ScheduleName = "cosine"
    prediction: Prediction = "v"
    times: int = Field(default=1000, ge=1)
    conditional: bool = True
    label_dropout: float = Field(default=0.1, gt=0, lt=1)
    guidance: float = Field(default=1.0, ge=0)
    sampler: SamplerName = "dpm_solver"
    steps: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _heads_divide_widths(self) -> Self:
        attending = self.widths[-max(1, self.attention) :]  # the middle is as wide as the last
        for width in attending:
            if width % self.heads:
                raise ValueError(f"heads: {self.heads} do not divide the width of {width}")
        return self

    @model_validator(mode="after")
    def _no_more_steps_than_times(self) -> Self:
        if self.steps > self.times:
            raise ValueError(f"steps: {self.steps} are more than the {self.times} times")
        return self

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
