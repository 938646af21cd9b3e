"""The backbone: a small residual network that turns a picture into a map of features (He et al. 2016)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; ``stride`` 2 halves the picture."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(width_in, width, stride), nn.ReLU(inplace=True), _convolution(width, width, 1)
        )
        same = stride == 1 and width_in == width
        self.shortcut = nn.Identity() if same else _convolution(width_in, width, stride, side=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, width_in, H, W] to [N, width, H / stride, W / stride], rounded up."""
        return functional.relu(self.residual(x) + self.shortcut(x))


class Backbone(nn.Sequential):
    """A convolution that halves the picture, then a stage for each further width, which halves it again."""

    def __init__(self, channels: int, widths: tuple[int, ...], depth: int) -> None:
        super().__init__(_convolution(channels, widths[0], 2), nn.ReLU(inplace=True))
        width_in = widths[0]
        for width in widths[1:]:
            for block in range(depth):
                self.append(Block(width_in, width, stride=1 if block else 2))
                width_in = width


def _convolution(width_in: int, width: int, stride: int, side: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width_in, width, side, stride, side // 2, bias=False), nn.BatchNorm2d(width)
    )
