"""Lines: some images of a data set in a row, among faint clutter, in whole numbers alone: the same bits everywhere."""

from __future__ import annotations

import numpy as np

from data.recipes.settings import LinesSpec

SPECKS = 6
"""Greatest number of faint dots on a line."""

STROKES = 2
"""Greatest number of faint strokes on a line."""


def draw(
    items: np.ndarray, shape: tuple[int, int], settings: LinesSpec, levels: int, stream: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return one line and what is in it.

    Items are drawn with replacement, each as likely as any other; they lie at varied heights and distances, and where
    they overlap, or lie on clutter, the brighter pixel is seen.

    Args:
        items: uint8 [M, h, w, C], what is put in a row.
        shape: height and width of the line in pixels; there is room for the longest one.
        settings: how long lines are, and how far items lie from each other.
        levels: how many values a pixel can take; no others occur.
        stream: which split and which line of it; each line has random numbers of its own.

    Returns:
        The line uint8 [H, W, C], and int64 [n], the places of its items, from left to right.
    """
    random = np.random.default_rng([settings.seed, *stream])
    _, height, width, channels = items.shape
    chosen = random.integers(len(items), size=random.integers(settings.shortest, settings.longest + 1))
    gaps = random.integers(settings.gaps[0], settings.gaps[1] + 1, size=len(chosen) - 1)
    left = np.cumsum([0, *(width + gaps)])
    left += random.integers(shape[1] - left[-1] - width + 1)
    top = random.integers(shape[0] - height + 1, size=len(chosen))
    line = _clutter(shape, levels, random)[..., None].repeat(channels, axis=2)
    for item, y, x in zip(items[chosen], top, left, strict=True):
        place = line[y : y + height, x : x + width]
        np.maximum(place, item, out=place)
    return line, chosen


def room(settings: LinesSpec, width: int) -> int:
    """Return how many pixels the longest line of items of ``width`` needs."""
    return settings.longest * width + (settings.longest - 1) * max(0, settings.gaps[1])


def shrunk(images: np.ndarray, factor: int) -> np.ndarray:
    """Return uint8 [N, H / factor, W / factor, C]: means over squares of ``factor`` pixels, halves rounded up."""
    count, height, width, channels = images.shape
    squares = images.reshape(count, height // factor, factor, width // factor, factor, channels)
    total, size = squares.sum(axis=(2, 4), dtype=np.int64), factor**2
    return ((2 * total + size) // (2 * size)).astype(np.uint8)


def _clutter(shape: tuple[int, int], levels: int, random: np.random.Generator) -> np.ndarray:
    """Return uint8 [H, W]: dots and straight strokes, each of one level below a third of the brightest."""
    faint = np.rint(np.arange(1, max(2, levels // 3)) * 255 / (levels - 1)).astype(np.uint8)
    ground = np.zeros(shape, np.uint8)
    for _ in range(random.integers(SPECKS + 1)):
        ground[tuple(random.integers(shape))] = random.choice(faint)
    for _ in range(random.integers(STROKES + 1)):
        start, end = random.integers(shape), random.integers(shape)
        steps = max(1, *np.abs(end - start))
        # To the nearest pixel, in whole numbers.
        points = start + (2 * np.arange(steps + 1)[:, None] * (end - start) + steps) // (2 * steps)
        ground[points[:, 0], points[:, 1]] = random.choice(faint)
    return ground
