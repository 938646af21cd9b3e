"""Between the uint8 images of the data and the numbers that models compute with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data.prepared import DataSpec


def unit(images_nhwc: Tensor) -> Tensor:
    """Turn uint8 [N, H, W, C] into float32 [N, C, H, W] in [0, 1], in channels-last memory without a copy."""
    return images_nhwc.permute(0, 3, 1, 2).float() / 255


def picture(x_bchw: Tensor) -> Tensor:
    """Turn [N, C, H, W] in [-1, 1], clipped to it, into uint8 [N, H, W, C]."""
    return torch.round(127.5 * (x_bchw.clamp(-1, 1) + 1)).permute(0, 2, 3, 1).to(torch.uint8)


def level(unit_images: Tensor, levels: int) -> Tensor:
    """Turn pixels in [0, 1] into int64 levels ``0 .. levels - 1``, the inverse of how ``prepare`` stores them."""
    return torch.round(unit_images * (levels - 1)).long()


class Standardise(nn.Module):
    """Shift and scale each channel to mean 0 and standard deviation 1 over the train split."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        shape = (1, spec.channels, 1, 1)
        self.register_buffer("mean", torch.tensor(spec.mean).reshape(shape))
        # A data set of one flat colour has no spread: leave it as it is rather than divide by zero.
        self.register_buffer("std", torch.tensor([value or 1.0 for value in spec.std]).reshape(shape))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Map [N, C, H, W] in [0, 1] to the standardised pixels, same shape."""
        return (x_bchw - self.mean) / self.std


class ClassifierGraph(nn.Module):
    """What is exported of a classifier: uint8 images in, probabilities out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C] to class probabilities float32 [N, K]."""
        return torch.softmax(self.network(unit(image)), dim=-1)
