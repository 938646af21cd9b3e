"""Patches and classes, read together, and masks by how well they fit (Strudel et al. 2021, sections 3.1 and 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import DataSpec
from models.blocks.dropout import Dropout
from models.blocks.encoder import Encoder
from models.blocks.fine_tuning import Transferable, is_part
from models.blocks.patches import PatchEmbedding, waves
from models.blocks.pixels import Standardise, unit
from models.blocks.pyramid import Pyramid
from models.segmenter.config import Config


class Stem(nn.ModuleList):
    """Convolutions before the patches: of each width one that halves the picture and ``depth`` that keep it."""

    def __init__(self, channels: int, widths: tuple[int, ...], depth: int) -> None:
        super().__init__()
        for width in widths:
            kept = (Residual(width) for _ in range(depth))
            self.append(nn.Sequential(_convolution(channels, width, stride=2), *kept))
            channels = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return what each width sees: [N, width, H / 2, W / 2], then a half of that, and so on, rounded up."""
        maps: list[Tensor] = []
        for convolutions in self:
            x = convolutions(x)
            maps.append(x)
        return maps


class Residual(nn.Module):
    """``x + convolution(x)`` of [N, width, H, W]: what a deep stem adds starts beside what the widths before it saw."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = _convolution(width, width, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        return x + self.convolution(x)


class Segmenter(Transferable):
    """Images [N, C, H, W] in [0, 1] to logits [N, 1 + K, H, W] of the ground and of each class."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.size = spec.height, spec.width
        values = 1 + spec.num_classes
        self.standardise = Standardise(spec)
        if config.backbone is None:
            self.stem = Stem(spec.channels, config.stem, config.stem_depth)
            widths, self.halvings = config.stem, range(1, 1 + len(config.stem))
        else:
            self.features = Pyramid(config.backbone)
            widths, self.halvings = self.features.widths, self.features.halvings
        stride = 2 ** max(self.halvings, default=0)
        height, width = (-(-side // stride) for side in self.size)
        self.embed = PatchEmbedding((spec.channels, *widths)[-1], height, width, config)
        self.patch = tuple(side * stride for side in self.embed.patch)
        self.positions = nn.Parameter(waves(self.embed.grid, config.width)[None])
        self.dropout = Dropout(config.dropout)
        sizes = config.width, config.heads, config.hidden
        self.encoder = Encoder(*sizes, config.depth, config.dropout)
        self.classes = nn.Parameter(torch.randn(1, values, config.width))
        self.decoder = Encoder(*sizes, config.decoder_depth, config.dropout)
        self.at_pixels = nn.Conv2d(spec.channels, config.pixels, 3, 1, 1)
        self.skips = nn.ModuleList(nn.Conv2d(width, config.pixels, 1) for width in widths)
        self.to_pixels = nn.Linear(config.width, config.pixels * self.patch[0] * self.patch[1])
        self.to_classes = nn.Linear(config.width, config.pixels)
        self.bias = nn.Parameter(torch.zeros(values))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        x = self.standardise(x_bchw)
        maps = self.stem(x) if self.config.backbone is None else self.features(x_bchw)
        patches = self.encoder(self.dropout(self.embed(maps[-1] if maps else x) + self.positions))
        num = patches.shape[1]
        read = self.decoder(torch.cat([patches, self.classes.expand(patches.shape[0], -1, -1)], dim=1))
        pixels = functional.relu(self._spread(self.to_pixels(read[:, :num])) + self._seen(x, maps))
        fit = pixels.flatten(1, 2) @ self.to_classes(read[:, num:]).transpose(1, 2)
        logits = fit * self.config.pixels**-0.5 + self.bias
        return logits.transpose(1, 2).unflatten(2, self.size)

    def is_kept(self, name: str) -> bool:
        """Say whether ``name`` is of the backbone, or without one, of what reads the picture before the decoder."""
        pictures = ("stem", "embed", "positions", "encoder")
        return is_part(name, pictures if self.config.backbone is None else ("features",))

    def _seen(self, x: Tensor, maps: list[Tensor]) -> Tensor:
        """Return what convolutions see at each pixel, [N, H, W, pixels]: the first one's at it, the stem's about it."""
        seen = self.at_pixels(x)
        for halvings, skip, of_width in zip(self.halvings, self.skips, maps, strict=True):
            larger = functional.interpolate(skip(of_width), scale_factor=2**halvings)
            seen = seen + larger[:, :, : self.size[0], : self.size[1]]
        return seen.permute(0, 2, 3, 1)

    def _spread(self, patches: Tensor) -> Tensor:
        """Lay the embeddings of each patch's pixels, [N, P, patch * patch * pixels], out as [N, H, W, pixels]."""
        tiles = patches.unflatten(2, (*self.patch, self.config.pixels)).unflatten(1, self.embed.grid)
        whole = tiles.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return whole[:, : self.size[0], : self.size[1]]


def _convolution(width_in: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )


class SegmenterGraph(nn.Module):
    """What is exported: uint8 images in, masks out."""

    def __init__(self, network: Segmenter) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C] to uint8 [N, H, W]: 0 the ground, k + 1 class k."""
        return self.network(unit(image)).argmax(dim=1).to(torch.uint8)


def build(config: Config, spec: DataSpec) -> Segmenter:
    """Return the network with random weights."""
    return Segmenter(config, spec)


def graph(model: Segmenter) -> SegmenterGraph:
    """Return the module to export: uint8 [N, H, W, C] to uint8 [N, H, W]."""
    return SegmenterGraph(model).eval()
