"""How a picture of any aspect lies in the pixels that models take: which part of it they see, and where."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from PIL import Image

Fit = Literal["stretch", "crop", "pad"]
"""``stretch``: both sides to the target's, whatever the aspect. ``crop``: the middle part that has the target's aspect.
``pad``: the whole picture in the middle, and the ground beside it."""

Size = tuple[int, int]
"""Width and height, in pixels."""

Window = tuple[float, float, float, float]
"""x0, y0, x1, y1 in a picture's pixels; of ``pad`` it reaches beyond the picture."""


def window(fit: Fit, size: Size, target: Size) -> Window:
    """Return what part of a picture of ``size`` becomes the whole ``target``.

    Point x of the picture lies at ``(x - x0) / (x1 - x0)`` of the target's width, and so does y of its height.
    """
    (width, height), (across, down) = size, target
    if fit == "stretch":
        return 0.0, 0.0, float(width), float(height)
    if fit == "crop":
        scale = max(across / width, down / height)
        seen = min(across / scale, width), min(down / scale, height)
        left, top = (width - seen[0]) / 2, (height - seen[1]) / 2
        return left, top, left + seen[0], top + seen[1]
    left, top, inner = _place(size, target)
    x_scale, y_scale = width / inner[0], height / inner[1]
    return -left * x_scale, -top * y_scale, (across - left) * x_scale, (down - top) * y_scale


def whole(fit: Fit, size: Size, target: Size) -> Size:
    """Return how large, in the target's pixels, all of a picture of ``size`` is, rounded up."""
    x0, y0, x1, y1 = window(fit, size, target)
    return math.ceil(target[0] * size[0] / (x1 - x0)), math.ceil(target[1] * size[1] / (y1 - y0))


def lay(
    image: Image.Image, fit: Fit, size: Size, target: Size, ground: tuple | int, resample: Image.Resampling
) -> Image.Image:
    """Bring a picture to ``target``; ``size`` is its own, or what it was before it was decoded at a smaller scale."""
    if fit == "pad":
        left, top, inner = _place(size, target)
        inside = image if image.size == inner else image.resize(inner, resample)
        if inner == target:
            return inside
        laid = Image.new(image.mode, target, ground)
        laid.paste(inside, (left, top))
        return laid
    if fit == "crop":
        x_scale, y_scale = image.width / size[0], image.height / size[1]
        x0, y0, x1, y1 = window(fit, size, target)
        box = (x0 * x_scale, y0 * y_scale, min(x1 * x_scale, image.width), min(y1 * y_scale, image.height))
        if image.size != target or box != (0, 0, *target):
            return image.resize(target, resample, box=box)
        return image
    return image if image.size == target else image.resize(target, resample)


def move(points: np.ndarray, fit: Fit, size: Size, target: Size) -> np.ndarray:
    """Return points [..., 2] (x, y in a picture's pixels) in [0, 1] of the target's sides; beyond it where unseen."""
    x0, y0, x1, y1 = window(fit, size, target)
    return (points - [x0, y0]) / [x1 - x0, y1 - y0]


def back(mask: Image.Image, fit: Fit, size: Size) -> Image.Image:
    """Return a mask of the target's size as one of a picture of ``size``: 0 where the picture was not seen."""
    if fit == "stretch":
        return mask.resize(size, Image.Resampling.NEAREST)
    x0, y0, x1, y1 = window(fit, size, mask.size)
    across, down = mask.width / (x1 - x0), mask.height / (y1 - y0)
    place = (across, 0, -x0 * across, 0, down, -y0 * down)
    return mask.transform(size, Image.Transform.AFFINE, place, Image.Resampling.NEAREST, fillcolor=0)


def _place(size: Size, target: Size) -> tuple[int, int, Size]:
    """Return where ``pad`` puts a picture: left, top, and its width and height there."""
    scale = min(target[0] / size[0], target[1] / size[1])
    inner = tuple(
        min(limit, max(1, math.floor(side * scale + 0.5))) for side, limit in zip(size, target, strict=True)
    )
    return (target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2, inner
