"""Masks laid over their images, a colour per class."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np

from components.pictures import grid
from components.pictures.style import short
from data.prepared import UNCOUNTED

_SHARE = 0.6  # of the class's colour; the rest is the image


def draw(
    path: Path,
    images: np.ndarray,
    truth: np.ndarray,
    answers: np.ndarray,
    classes: tuple[str, ...],
    title: str,
) -> None:
    """Draw ``images`` uint8 [N, H, W, C] in a row, below them the true masks, and below those the answers.

    Args:
        path: the PNG to write.
        images: the images; grey or RGB.
        truth: uint8 [N, H, W], 0 the ground, k + 1 class k, ``UNCOUNTED`` hatched out in grey.
        answers: as ``truth``.
        classes: names, which the captions give where masks hold them.
        title: one line above.
    """
    coloured = np.broadcast_to(images, (*images.shape[:3], 3))
    pictures = np.concatenate([coloured, lay(images, truth), lay(images, answers)])
    captions = ["" for _ in images] + [_names(mask, classes) for mask in (*truth, *answers)]
    grid.draw(path, pictures, captions, columns=len(images), title=title, cell=112)


def lay(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, 3]: ``images`` uint8 [N, H, W, C] tinted where ``masks`` uint8 [N, H, W] hold a class."""
    tints = palette()[masks]
    mixed = _SHARE * tints + (1 - _SHARE) * images
    return np.where((masks > 0)[..., None], mixed, images).astype(np.uint8)


def palette() -> np.ndarray:
    """Return uint8 [256, 3]: the colour of each value of a mask; neighbours differ in hue, all are bright."""
    # Steps of the golden angle: no two of a few classes are alike, however many there are.
    hues = np.arange(256) * 0.618034 % 1
    colours = np.array([colorsys.hsv_to_rgb(hue, 0.85, 1.0) for hue in hues]) * 255
    colours[[0, UNCOUNTED]] = [[0], [128]]
    return colours.astype(np.uint8)


def _names(mask: np.ndarray, classes: tuple[str, ...]) -> str:
    """Return the classes that a mask holds, largest first, in lines of a few letters."""
    values, pixels = np.unique(mask[(mask > 0) & (mask != UNCOUNTED)], return_counts=True)
    names = [short(classes[value - 1], 16) for value in values[np.argsort(-pixels, kind="stable")]]
    if sum(map(len, names)) <= 14:
        return " ".join(names)
    return "\n".join(names[:3] + (["…"] if len(names) > 3 else []))
