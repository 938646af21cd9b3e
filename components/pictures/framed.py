"""Images with boxes drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT_SIZE = 13


class Frame(NamedTuple):
    """A box to draw: its corners in pixels of the image, a colour, a few words, and whether they stand below it."""

    corners: np.ndarray
    colour: str
    words: str = ""
    below: bool = False


def draw(image: np.ndarray, frames: Sequence[Frame], cell: int) -> np.ndarray:
    """Return uint8 [h, w, 3]: ``image`` uint8 [H, W, C], enlarged to about ``cell`` pixels, with ``frames`` on it."""
    height, width, channels = image.shape
    scale = cell / max(height, width)
    if scale > 1:
        scale = round(scale)
    picture = Image.fromarray(image[:, :, 0] if channels == 1 else image).convert("RGB")
    size = round(width * scale), round(height * scale)
    picture = picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT_SIZE)
    for frame in frames:
        x0, y0, x1, y1 = (float(value) * scale for value in frame.corners)
        pen.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=frame.colour, width=2)
    for frame in frames:  # words lie above all boxes
        x0, y0, _, y1 = (float(value) * scale for value in frame.corners)
        if frame.words:
            left, _, right, bottom = pen.textbbox((0, 0), frame.words, font=font)
            x = min(max(x0, 0), size[0] - (right - left) - 2)
            y = min(y1, size[1] - bottom - 1) if frame.below else max(y0 - bottom - 1, 0)
            pen.rectangle((x, y, x + right - left + 2, y + bottom + 1), fill=frame.colour)
            pen.text((x + 1, y), frame.words, fill="white", font=font)
    return np.asarray(picture)
