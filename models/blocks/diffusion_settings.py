"""The settings that diffusion models share: the U-Net, the forward process, and how images are drawn."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from models.blocks.diffusion import Prediction, ScheduleName
from models.blocks.loop import Recipe
from models.blocks.samplers import SamplerName


class Diffusing(Recipe):
    """What any diffusion model can be told.

    Attributes:
        widths: features of the U-Net at each resolution, finest first; each halves the one before.
        depth: residual blocks at each resolution, on the way down and on the way up.
        attention: at how many of the coarsest resolutions places attend to each other, and to words where there are
            some; the middle always does.
        heads: heads of each attention; they divide the widths that have one.
        dropout: probability of dropping a feature inside a residual block of the U-Net while training.
        schedule: how noise comes in: ``cosine`` or ``linear``.
        prediction: what the network answers: ``v`` or ``epsilon``.
        times: how many times the forward process has.
        guidance: how far to go from the answer without a condition, a class or a caption, towards the one with it; 1
            is just that one, which takes half the time.
        sampler: ``dpm_solver``, ``ddim`` or ``ancestral``.
        steps: steps of the sampler, at most ``times``.
    """

    widths: tuple[int, ...] = Field(default=(32, 64), min_length=1)
    depth: int = Field(default=1, ge=1)
    attention: int = Field(default=1, ge=0)
    heads: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    schedule: ScheduleName = "cosine"
    prediction: Prediction = "v"
    times: int = Field(default=1000, ge=1)
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
