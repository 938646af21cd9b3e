"""Grids of images: every pixel of a small image is a whole square of pixels of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from components.pictures import style

_MARGIN, _TITLE, _GAP = 16, 34, 10
_LINE = 18  # pixels of a line of a caption


def draw(
    path: Path,
    images: np.ndarray,
    captions: Sequence[str] = (),
    marked: Sequence[bool] = (),
    *,
    columns: int = 8,
    title: str,
    cell: int = 112,
) -> None:
    """Draw ``images`` uint8 [N, H, W, C] row by row under a ``title``.

    Args:
        path: the PNG to write.
        images: the images; grey or RGB.
        captions: a text below each image, of one or more lines.
        marked: which images to frame as wrong.
        columns: images in a row.
        title: one line above.
        cell: about how many pixels an image is wide.
    """
    tiles = [_tile(image, cell, len(marked) > 0 and bool(marked[i])) for i, image in enumerate(images)]
    tile_height, tile_width = tiles[0].shape[:2]
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    step_x, step_y = tile_width + _GAP, tile_height + _GAP + lines * _LINE
    rows = -(-len(tiles) // columns)
    width = 2 * _MARGIN + min(columns, len(tiles)) * step_x - _GAP
    height = 2 * _MARGIN + _TITLE + rows * step_y - _GAP
    with style.figure(path, width / style.DPI, height / style.DPI, layout=None) as figure:
        figure.text(_MARGIN / width, 1 - _MARGIN / height, title, va="top", weight="bold", size=9)
        for i, tile in enumerate(tiles):
            x = _MARGIN + i % columns * step_x
            top = _MARGIN + _TITLE + i // columns * step_y
            figure.figimage(tile, x, height - top - tile_height, origin="upper")
            # Line by line on a baseline of its own: a text of several lines moves with the height of its letters.
            for line, words in enumerate(captions[i].split("\n") if captions else ()):
                baseline = top + tile_height + (line + 1) * _LINE
                figure.text(x / width, 1 - baseline / height, words, va="baseline", size=6.5)


def _tile(image: np.ndarray, cell: int, marked: bool) -> np.ndarray:
    """Return the image as RGB with a frame, brought to about ``cell`` pixels."""
    height, width, channels = image.shape
    if max(height, width) <= cell:
        scale = max(1, round(cell / max(height, width)))
        image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    else:
        picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
        picture.thumbnail((cell, cell), Image.Resampling.LANCZOS)
        image = np.asarray(picture).reshape(picture.height, picture.width, channels)
    image = np.broadcast_to(image, (*image.shape[:2], 3))
    border = 3 if marked else 1
    colour = style.WRONG if marked else style.RULE
    framed = np.empty((image.shape[0] + 6, image.shape[1] + 6, 3), dtype=np.uint8)
    framed[:] = 255
    inner = 3 - border
    framed[inner : len(framed) - inner, inner : framed.shape[1] - inner] = [
        int(colour[i : i + 2], 16) for i in (1, 3, 5)
    ]
    framed[3:-3, 3:-3] = image
    return framed
