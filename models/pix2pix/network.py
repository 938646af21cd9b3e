"""The generator, a U-Net, and the discriminator of patches (Isola et al. 2017, section 3.2)."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import DataSpec
from models.blocks.pixels import unit
from models.pix2pix.config import Config

LEAST_SIDE = 2
SLOPE = 0.2


class Down(nn.Sequential):
    """Halve the sides: [N, width_in, H, W] to [N, width, H // 2, W // 2]."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__(
            nn.LeakyReLU(SLOPE), nn.Conv2d(width_in, width, 4, stride=2, padding=1, bias=False), _norm(width)
        )


class Up(nn.Module):
    """Bring the features to the next larger scale and join them with what that scale had on the way down.

    Nearest neighbours and a convolution, where the paper has a transposed one: that leaves a checkerboard
    (Odena et al. 2016, "Deconvolution and checkerboard artifacts").
    """

    def __init__(self, width_in: int, width: int, size: tuple[int, int], dropout: float) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width_in, width, 3, padding=1, bias=False), _norm(width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map [N, width_in, h, w] and the skip [N, width, H, W] to [N, 2 * width, H, W]."""
        return torch.cat([self.layers(functional.interpolate(x, size=self.size)), skip], dim=1)


class UNet(nn.Module):
    """Images [N, C_in, H, W] in [0, 1] to images [N, C, H, W] in [0, 1]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        sizes = [(spec.height, spec.width)]
        while min(sizes[-1]) // 2 >= LEAST_SIDE and len(sizes) < len(config.widths):
            sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
        widths = config.widths[: len(sizes)]
        self.enter = nn.Conv2d(spec.input_channels, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(Down(*pair) for pair in pairs)
        deepest = len(pairs) - 1
        self.up = nn.ModuleList(
            Up(below if i == deepest else 2 * below, above, sizes[i], config.dropout)
            for i, (above, below) in reversed(list(enumerate(pairs)))
        )
        joined = 2 * widths[0] if pairs else widths[0]
        self.leave = nn.Sequential(nn.ReLU(), nn.Conv2d(joined, spec.channels, 3, padding=1))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the translation."""
        skips = [self.enter(2 * x_bchw - 1)]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.up:
            x = up(x, skips.pop())
        return torch.sigmoid(self.leave(x))


class PatchDiscriminator(nn.Module):
    """Whether an image goes with its input, a score for each of its patches (section 3.2.2)."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        width = config.patch_width
        # A picture is not halved until nothing is left of it.
        halvings = min(config.patch_layers, int(math.log2(min(spec.height, spec.width) / LEAST_SIDE)))
        layers: list[nn.Module] = [
            nn.Conv2d(spec.input_channels + spec.channels, width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
        ]
        for _ in range(halvings):
            convolution = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)
            layers += [convolution, _norm(2 * width), nn.LeakyReLU(SLOPE)]
            width *= 2
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, x_bchw: Tensor, input_bchw: Tensor) -> Tensor:
        """Map an image [N, C, H, W] and its input [N, C_in, H, W], both in [0, 1], to scores [N, h, w]."""
        return self.layers(2 * torch.cat([x_bchw, input_bchw], dim=1) - 1).squeeze(1)


class Pix2Pix(nn.Module):
    """The two players; translating needs the ``generator`` alone."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.generator = UNet(config, spec)
        self.discriminator = PatchDiscriminator(config, spec)


class Translator(nn.Module):
    """What is exported: an image in, its translation out."""

    def __init__(self, generator: UNet) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C_in] to uint8 [N, H, W, C]."""
        return torch.round(255 * self.generator(unit(image)).permute(0, 2, 3, 1)).to(torch.uint8)


def build(config: Config, spec: DataSpec) -> Pix2Pix:
    """Return both networks with random weights."""
    return Pix2Pix(config, spec)


def graph(model: Pix2Pix) -> Translator:
    """Return the module to export: uint8 [N, H, W, C_in] to uint8 [N, H, W, C]."""
    return Translator(model.generator).eval()


def _norm(width: int) -> nn.GroupNorm:
    """Normalise each image by itself (Wu & He 2018): an answer must not depend on what else is in the batch."""
    return nn.GroupNorm(math.gcd(8, width), width)
