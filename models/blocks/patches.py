"""What transformers over the patches of an image have in common: their settings, and how large a patch is."""

from __future__ import annotations

import math
from typing import Self

from pydantic import Field, model_validator

from models.blocks.augment import Augmented


class Patched(Augmented):
    """The settings of a transformer's encoder over the patches of an image, trained as a classifier.

    Attributes:
        grid: patches a side at most.
        width: length of an embedding.
        depth: layers of the encoder.
        heads: heads of each attention; they divide ``width``.
        hidden: units of the feed-forward part of each layer.
        label_smoothing: probability taken from the right class and spread over all (Szegedy et al. 2016).
    """

    grid: int = Field(default=7, ge=1)
    width: int = Field(default=64, ge=1)
    depth: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    hidden: int = Field(default=128, ge=1)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} do not divide the width of {self.width}")
        return self

    def tiles(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the size of a patch, a side divided by ``grid`` and rounded up, and how many cover each side."""
        patch = (math.ceil(height / self.grid), math.ceil(width / self.grid))
        return patch, (math.ceil(height / patch[0]), math.ceil(width / patch[1]))
