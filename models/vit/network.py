"""Patches, class token, positions and encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks.dropout import Dropout
from models.blocks.encoder import Encoder
from models.blocks.fine_tuning import Transferable
from models.blocks.patches import PatchEmbedding, waves
from models.blocks.pixels import ClassifierGraph, Standardise
from models.vit.config import Config


class VisionTransformer(Transferable):
    """Images [N, C, H, W] in [0, 1] to logits [N, K]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.standardise = Standardise(spec)
        self.embed = PatchEmbedding(spec.channels, spec.height, spec.width, config)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        # The class token is nowhere.
        positions = torch.cat([torch.zeros(1, config.width), waves(self.embed.grid, config.width)])
        self.positions = nn.Parameter(positions[None])
        self.dropout = Dropout(config.dropout)
        self.encoder = Encoder(config.width, config.heads, config.hidden, config.depth, config.dropout)
        self.classify = nn.Linear(config.width, spec.num_classes)

    def tokens(self, x_bchw: Tensor) -> Tensor:
        """Return the sequence that the encoder reads, [N, 1 + patches, width]: the class token, then row by row."""
        patches = self.embed(self.standardise(x_bchw))
        tokens = torch.cat([self.class_token.expand(patches.shape[0], -1, -1), patches], dim=1)
        return self.dropout(tokens + self.positions)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        return self.classify(self.encoder(self.tokens(x_bchw))[:, 0])


def build(config: Config, spec: DataSpec) -> VisionTransformer:
    """Return the network with random weights."""
    return VisionTransformer(config, spec)


def graph(model: VisionTransformer) -> ClassifierGraph:
    """Return the module to export: uint8 [N, H, W, C] to probabilities [N, K]."""
    return ClassifierGraph(model).eval()
