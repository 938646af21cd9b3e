"""An image as a sequence of columns, from left to right, in which it is read (Shi et al. 2017, "CRNN")."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks.pixels import Standardise


class Columns(nn.Module):
    """Images [N, C, H, W] in [0, 1] to columns [N, T, width], one for each ``stride`` columns of pixels.

    Convolutions see what lies around a column and make little of how high it lies. The image is made smaller by strides
    rather than pooling, whose gradient a GPU does not sum in one order.

    Attributes:
        stride: columns of pixels that one column stands for; what lies around them it has seen, too.
        length: T.
    """

    def __init__(
        self, spec: DataSpec, channels: tuple[int, ...], stride: int, width: int, convolutions: int = 1
    ) -> None:
        """Make ``convolutions`` for each of ``channels``, of which only the first may change the size.

        The first keeps the size, the others halve the height. The first ones of those halve the width, too, until it is
        ``stride`` times smaller.
        """
        super().__init__()
        self.standardise = Standardise(spec)
        layers: list[nn.Module] = []
        before, height, self.stride, self.length = spec.channels, spec.height, 1, spec.width
        for index, number in enumerate(channels):
            down, across = 2 if index else 1, 2 if index and self.stride < stride else 1
            for smaller in [(down, across)] + [(1, 1)] * (convolutions - 1):
                convolution = nn.Conv2d(before, number, 3, smaller, padding=1, bias=False)
                layers += [convolution, nn.BatchNorm2d(number), nn.ReLU()]
                before = number
            height = -(-height // down)
            self.stride, self.length = self.stride * across, -(-self.length // across)
        self.look = nn.Sequential(*layers)
        self.embed = nn.Linear(before * height, width)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the columns."""
        return self.embed(self.look(self.standardise(x_bchw)).permute(0, 3, 1, 2).flatten(2))


def over_pixels(weights: Tensor, stride: int, width: int) -> np.ndarray:
    """Return float32 [N, L, width]: weights [N, L, T] of columns over pixels, the largest of each row being 1."""
    spread = weights.repeat_interleave(stride, dim=2)[:, :, :width]
    return (spread / spread.amax(dim=2, keepdim=True)).cpu().numpy()
