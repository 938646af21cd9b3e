"""Short sequences of images as one animated picture, which a browser plays wherever a PNG is shown."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from data import atomic

SIDE = 96
"""About how many pixels an image is wide."""

MILLISECONDS = 90
"""A frame is shown so long."""

_GAP = 6


def draw(path: Path, frames: np.ndarray) -> None:
    """Write ``frames`` uint8 [T, P, H, W, C], P images side by side at each of T times, as an animated PNG."""
    pictures = [_row(images) for images in frames]
    content = io.BytesIO()
    pictures[0].save(
        content,
        "PNG",
        save_all=True,
        append_images=pictures[1:],
        duration=MILLISECONDS,
        loop=0,
        optimize=False,
    )
    atomic.write_bytes(path, content.getvalue())


def _row(images: np.ndarray) -> Image.Image:
    scale = max(1, round(SIDE / max(images.shape[1:3])))
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    count, height, width = large.shape[:3]
    row = np.full((height + 2 * _GAP, count * (width + _GAP) + _GAP, 3), 255, dtype=np.uint8)
    for index, image in enumerate(large):
        left = _GAP + index * (width + _GAP)
        row[_GAP : _GAP + height, left : left + width] = np.broadcast_to(image, (height, width, 3))
    return Image.fromarray(row)
