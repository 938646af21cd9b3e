"""Objects in a picture: as somebody annotated them, and as they lie in the pixels of the picture.

Pixel ``(row, column)`` is the square from ``(column, row)`` to ``(column + 1, row + 1)``, as COCO has it: a box from 0
to 10 is ten pixels wide, and a pixel is of a polygon when its centre is inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDING = 0.5
"""Pixels by which a box that ends at the border may miss it."""


@dataclass(frozen=True)
class Runs:
    """A mask as uncompressed run lengths: of 0 and 1 in turn, down the columns of ``height`` x ``width``."""

    counts: tuple[int, ...]
    height: int
    width: int


Polygons = tuple[tuple[float, ...], ...]
"""Outlines, each x and y in turn, in pixels; what is inside any of them is of the object."""


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """An object as a file tells of it.

    Attributes:
        where: file and key, for messages.
        category: name of its class.
        box: x and y of the upper left corner, width and height, in pixels.
        mask: what of the picture it is; None where only the box is known.
        crowd: many things that nobody told apart, which is not to be counted.
    """

    where: str
    category: str
    box: tuple[float, float, float, float]
    mask: Polygons | Runs | None = None
    crowd: bool = False


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The objects of one picture, in the order in which they lie on each other: later ones over earlier ones.

    Attributes:
        categories: n names.
        boxes: float64 [n, 4], x0, y0, x1, y1 in pixels, as annotated: they may reach beyond the border.
        crowd: n of whether it is a crowd.
        instances: uint16 [H, W], 0 the ground and k + 1 what is visible of object k; None without masks.
        error: what is wrong with them, the file and key named; None where nothing is.
    """

    categories: tuple[str, ...]
    boxes: np.ndarray
    crowd: tuple[bool, ...]
    instances: np.ndarray | None = None
    error: str | None = None


def place(annotations: Sequence[Annotation], width: int, height: int, *, masks: bool) -> Objects:
    """Return the ``annotations`` of a picture of ``width`` x ``height`` pixels; with ``masks``, their pixels too.

    A box that does not touch the picture or has no area, and a mask that is of no picture of this size, are told
    in ``error``.
    """
    boxes = np.array([one.box for one in annotations], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    error = next(filter(None, (_error(one, width, height, masks) for one in annotations)), None)
    instances = None
    if masks and error is None:
        instances = np.zeros((height, width), np.uint16)
        for number, one in enumerate(annotations, start=1):
            instances[_pixels(one.mask, width, height)] = number
    return Objects(
        categories=tuple(one.category for one in annotations),
        boxes=boxes,
        crowd=tuple(one.crowd for one in annotations),
        instances=instances,
        error=error,
    )


def clip(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the part of ``boxes`` [n, 4] (x0, y0, x1, y1) that lies in a picture of this size."""
    return np.clip(boxes, 0, [width, height, width, height])


def beyond(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return [n]: pixels by which each of ``boxes`` [n, 4] reaches beyond the border; up to ``ROUNDING`` is 0."""
    found = np.abs(boxes - clip(boxes, width, height)).max(axis=1, initial=0.0)
    return np.where(found <= ROUNDING, 0.0, found)


def fill(polygon: Sequence[float], width: int, height: int) -> np.ndarray:
    """Return bool [height, width]: the pixels with centres in ``polygon`` (x and y in turn), by the even-odd rule."""
    x, y = np.asarray(polygon, dtype=np.float64).reshape(-1, 2).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    # An edge crosses the rows whose centres lie between its ends; each end belongs to one of its two edges.
    first, last = (np.clip(np.ceil(end - 0.5), 0, height).astype(int) for end in _ordered(y, next_y))
    edge = np.repeat(np.arange(len(x)), last - first)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
    share = (row + 0.5 - y[edge]) / (next_y - y)[edge]
    crossing = x[edge] + share * (next_x - x)[edge]
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(int)
    crossings = np.zeros((height, width + 1), np.int64)
    np.add.at(crossings, (row, column), 1)
    return (np.cumsum(crossings, axis=1)[:, :width] % 2).astype(bool)


def _ordered(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(a, b), np.maximum(a, b)


def _pixels(mask: Polygons | Runs, width: int, height: int) -> np.ndarray:
    if isinstance(mask, Runs):
        values = np.arange(len(mask.counts)) % 2 == 1
        return np.repeat(values, mask.counts).reshape(width, height).T
    return np.logical_or.reduce([fill(polygon, width, height) for polygon in mask])


def _error(one: Annotation, width: int, height: int, masks: bool) -> str | None:
    x, y, across, down = one.box
    box = f"{one.where}: bbox {[x, y, across, down]}"
    if not (across > 0 and down > 0):
        return f"{box} has no area"
    if x >= width or y >= height or x + across <= 0 or y + down <= 0:
        return f"{box} lies outside the picture of {width} x {height} pixels"
    if masks and one.mask is None:
        return f"{one.where}: has no segmentation"
    if masks and isinstance(one.mask, Runs) and (one.mask.width, one.mask.height) != (width, height):
        return (
            f"{one.where}: segmentation.size {[one.mask.height, one.mask.width]} (height, width) is not that of the "
            f"picture, {[height, width]}"
        )
    return None
