"""Patches, class token, positions and encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import DataSpec
from models.blocks.dropout import Dropout
from models.blocks.encoder import Encoder
from models.blocks.pixels import ClassifierGraph, Standardise
from models.vit.config import Config

AMPLITUDE = 0.3


class VisionTransformer(nn.Module):
    """Images [N, C, H, W] in [0, 1] to logits [N, K]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.patch, self.grid = config.tiles(spec.height, spec.width)
        self.padding = (
            self.grid[1] * self.patch[1] - spec.width,
            self.grid[0] * self.patch[0] - spec.height,
        )
        self.standardise = Standardise(spec)
        self.embed = nn.Conv2d(spec.channels, config.width, self.patch, self.patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.positions = nn.Parameter(_positions(self.grid, config.width))
        self.dropout = Dropout(config.dropout)
        self.encoder = Encoder(config.width, config.heads, config.hidden, config.depth, config.dropout)
        self.classify = nn.Linear(config.width, spec.num_classes)

    def tokens(self, x_bchw: Tensor) -> Tensor:
        """Return the sequence that the encoder reads, [N, 1 + patches, width]: the class token, then row by row."""
        padded = functional.pad(x_bchw, (0, self.padding[0], 0, self.padding[1]))
        patches = self.embed(self.standardise(padded)).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(patches.shape[0], -1, -1), patches], dim=1)
        return self.dropout(tokens + self.positions)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        return self.classify(self.encoder(self.tokens(x_bchw))[:, 0])


def _positions(grid: tuple[int, int], width: int) -> Tensor:
    """Return where the learned positions start, [1, 1 + patches, width]: neighbours alike, the class token's zero.

    Sines and cosines of row and column (Beyer et al. 2022, "Better plain ViT baselines"), a quarter of the width each.
    """
    quarter = -(-width // 4)
    frequencies = 100 ** -(torch.arange(quarter) / quarter)
    rows, columns = (torch.arange(side)[:, None] * frequencies for side in grid)
    rows = rows[:, None].expand(-1, grid[1], -1).flatten(0, 1)
    columns = columns.repeat(grid[0], 1)
    waves = torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], dim=1)[:, :width]
    return torch.cat([torch.zeros(1, width), waves])[None] * AMPLITUDE


def build(config: Config, spec: DataSpec) -> VisionTransformer:
    """Return the network with random weights."""
    return VisionTransformer(config, spec)


def graph(model: VisionTransformer) -> ClassifierGraph:
    """Return the module to export: uint8 [N, H, W, C] to probabilities [N, K]."""
    return ClassifierGraph(model).eval()
