"""Small random changes of a batch of images, computed on the device from one generator."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator, Tensor

from models.blocks import draws
from models.blocks.loop import Recipe


class Augmented(Recipe):
    """The settings of a gradient training on changed images.

    Attributes:
        shift: pixels by which training images are moved at random.
        stretch: by how much the sides of training images are stretched and moved at random, as a share of them.
        flip: mirror training images at random. Right for clothes, wrong for digits.
        cutout: side of the square blanked in training images, 0 for none.
    """

    shift: int = Field(default=0, ge=0)
    stretch: float = Field(default=0.0, ge=0, lt=1)
    flip: bool = False
    cutout: int = Field(default=0, ge=0)

    def change(self, x_bchw: Tensor, generator: Generator) -> Tensor:
        """Return changed images, float [N, C, H, W] like the given ones."""
        x_bchw = self.distort(x_bchw, generator)
        return flip(x_bchw, generator) if self.flip else x_bchw

    def distort(self, x_bchw: Tensor, generator: Generator) -> Tensor:
        """Return images changed in all ways but mirrored, where more than the image must be."""
        x_bchw = shift(x_bchw, self.shift, generator)
        x_bchw = stretch(x_bchw, self.stretch, generator)
        return cutout(x_bchw, self.cutout, generator)


def shift(x_bchw: Tensor, reach: int, generator: Generator) -> Tensor:
    """Move each image by up to ``reach`` pixels in each direction, zeros coming in (a padded random crop)."""
    if reach == 0:
        return x_bchw
    num, _, height, width = x_bchw.shape
    padded = torch.nn.functional.pad(x_bchw, (reach,) * 4)
    rows = _offsets(num, reach, x_bchw, generator) + torch.arange(height, device=x_bchw.device)
    columns = _offsets(num, reach, x_bchw, generator) + torch.arange(width, device=x_bchw.device)
    image = torch.arange(num, device=x_bchw.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def stretch(x_bchw: Tensor, reach: float, generator: Generator) -> Tensor:
    """Stretch each side of each image about its middle, by ``exp(-reach)`` to ``exp(reach)``, and move it.

    It is moved by up to half of ``reach`` sides. Every pixel is the nearest old one, so that a channel that holds a
    mask holds one still; beyond an edge it is the edge's.
    """
    if reach == 0:
        return x_bchw
    num, _, height, width = x_bchw.shape
    drawn = 2 * draws.rand(4, num, 1, generator=generator, device=x_bchw.device, along=1) - 1
    rows = _nearest(height, torch.exp(drawn[0] * reach), drawn[1] * reach / 2)
    columns = _nearest(width, torch.exp(drawn[2] * reach), drawn[3] * reach / 2)
    image = torch.arange(num, device=x_bchw.device)[:, None, None]
    moved = x_bchw.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def flip(x_bchw: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability one half."""
    mirrored = draws.rand(len(x_bchw), 1, 1, 1, generator=generator, device=x_bchw.device) < 0.5
    return torch.where(mirrored, x_bchw.flip(3), x_bchw)


def cutout(x_bchw: Tensor, size: int, generator: Generator) -> Tensor:
    """Blank a square of ``size`` pixels, centred anywhere, in each image (DeVries & Taylor 2017)."""
    if size == 0:
        return x_bchw
    num, _, height, width = x_bchw.shape
    inside = None
    for extent, shape in ((height, (num, 1, -1, 1)), (width, (num, 1, 1, -1))):
        centre = draws.randint(extent, num, 1, generator=generator, device=x_bchw.device)
        offset = torch.arange(extent, device=x_bchw.device) - centre + size // 2
        near = ((offset >= 0) & (offset < size)).reshape(shape)
        inside = near if inside is None else inside & near
    return torch.where(inside, 0.0, x_bchw)


def _nearest(size: int, scale: Tensor, start: Tensor) -> Tensor:
    """Return int64 [num, size]: which old row each new one is; ``scale`` and ``start`` [num, 1] say how they lie."""
    places = (torch.arange(size, device=scale.device) + 0.5) / size - 0.5
    return (((places - start) / scale + 0.5) * size).floor().clamp(0, size - 1).long()


def _offsets(num: int, reach: int, like: Tensor, generator: Generator) -> Tensor:
    """Draw [num, 1] window starts in ``0 .. 2 * reach``."""
    return draws.randint(2 * reach + 1, num, 1, generator=generator, device=like.device)
