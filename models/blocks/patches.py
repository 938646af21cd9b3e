"""What transformers over the patches of an image have in common: settings, embeddings and positions of the patches."""

from __future__ import annotations

import math
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from models.blocks.augment import Augmented

AMPLITUDE = 0.3
"""Of the waves that positions start as."""


class Patched(Augmented):
    """The settings of a transformer's encoder over the patches of an image, trained to tell classes.

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


class PatchEmbedding(nn.Conv2d):
    """Images [N, C, H, W] to embeddings of their patches [N, P, width], row by row.

    Attributes:
        patch: height and width of a patch in pixels. A side that patches do not fill is padded with zeros, the mean
            of standardised images.
        grid: patches in a column and in a row.
    """

    def __init__(self, channels: int, height: int, width: int, config: Patched) -> None:
        patch, self.grid = config.tiles(height, width)
        super().__init__(channels, config.width, patch, patch)
        self.patch = patch
        self._padding = (0, self.grid[1] * patch[1] - width, 0, self.grid[0] * patch[0] - height)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the embeddings, to which positions are still to be added."""
        return super().forward(functional.pad(x_bchw, self._padding)).flatten(2).transpose(1, 2)


def waves(grid: tuple[int, int], width: int) -> Tensor:
    """Return where learned positions of a ``grid`` of patches start, [P, width]: neighbours are alike.

    Sines and cosines of row and column (Beyer et al. 2022, "Better plain ViT baselines"), a quarter of the width each.
    """
    quarter = -(-width // 4)
    frequencies = 100 ** -(torch.arange(quarter) / quarter)
    rows, columns = (torch.arange(side)[:, None] * frequencies for side in grid)
    rows = rows[:, None].expand(-1, grid[1], -1).flatten(0, 1)
    columns = columns.repeat(grid[0], 1)
    return torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], dim=1)[:, :width] * AMPLITUDE
