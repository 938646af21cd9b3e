"""Images as sequences: what a chain sees one after another, from the top to the bottom."""

from __future__ import annotations

from torch import Tensor


def cut(images_nhwc: Tensor, strip: int) -> Tensor:
    """Return [T, N, D] of [N, H, W, C]: ``T = H / strip`` strips of ``D = strip * W * C`` numbers."""
    return images_nhwc.unflatten(1, (-1, strip)).transpose(0, 1).flatten(2)


def join(strips: Tensor, width: int, channels: int) -> Tensor:
    """Return [N, H, W, C] of [T, N, D]: the inverse of :func:`cut`."""
    return strips.unflatten(2, (-1, width, channels)).transpose(0, 1).flatten(1, 2)
