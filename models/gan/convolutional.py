"""The convolutional kind of both players (after Radford et al. 2016, "DCGAN").

Upsampling before a plain convolution in place of a transposed one: no checkerboard (Odena et al. 2016).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from data.prepared import DataSpec


class Double(nn.Module):
    """Show each pixel of [N, C, H, W] as four: nearest upsampling, with a gradient that is the same every time."""

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return [N, C, 2 H, 2 W]."""
        num, channels, height, width = x_bchw.shape
        squares = x_bchw[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)
        return squares.reshape(num, channels, 2 * height, 2 * width)


class Crop(nn.Module):
    """Cut [N, C, H', W'] to its first ``height`` rows and ``width`` columns."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return [N, C, height, width]."""
        return x_bchw[:, :, : self.height, : self.width]


def generator(width_in: int, widths: tuple[int, ...], spec: DataSpec) -> nn.Sequential:
    """Map [N, width_in] to [N, C, H, W] in [0, 1]: a small picture that is doubled until it is whole."""
    height, width = (_shrunk(size, len(widths) - 1) for size in (spec.height, spec.width))
    first = widths[0]
    layers: list[nn.Module] = [
        nn.Linear(width_in, first * height * width, bias=False),
        nn.Unflatten(1, (first, height, width)),
        nn.BatchNorm2d(first),
        nn.ReLU(),
    ]
    for before, after in pairwise(widths):
        layers += [
            Double(),
            nn.Conv2d(before, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(
        *layers, nn.Conv2d(widths[-1], spec.channels, 3, 1, 1), nn.Sigmoid(), Crop(spec.height, spec.width)
    )


def features(widths: tuple[int, ...], spec: DataSpec, slope: float) -> tuple[nn.Sequential, int]:
    """Map [N, C, H, W] to features [N, D]: convolutions that halve the picture, leaky ReLU; also return D."""
    layers: list[nn.Module] = []
    width_in = spec.channels
    for place, width in enumerate(widths):
        layers += [nn.Conv2d(width_in, width, 3, 2 if place else 1, 1), nn.LeakyReLU(slope)]
        width_in = width
    height, width = (_shrunk(size, len(widths) - 1) for size in (spec.height, spec.width))
    return nn.Sequential(*layers, nn.Flatten()), width_in * height * width


def _shrunk(size: int, times: int) -> int:
    """Return ``size`` halved ``times`` times, rounded up each time, as a padded convolution of stride 2 does."""
    for _ in range(times):
        size = (size + 1) // 2
    return size
