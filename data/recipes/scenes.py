"""Scenes: several images of one class each on a textured ground, with a box and a mask for each.

An item is brought to a random size and laid on the ground where it is bright; what is nearly black is see-through.
Later items lie over earlier ones, and an item is left out that would hide too much of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from data.objects import Objects
from data.spec import ImageSpec

ITEMS = (1, 6)
"""How many are tried; fewer lie in the scene where there is no room."""

SIDES = (0.22, 0.46)
"""Of an item, in units of the scene's shorter side."""

VISIBLE = 0.7
"""Share of an item's pixels that stay visible at least."""

OPAQUE = 40
"""Brightness from which on an item hides the ground; its mask is what is brighter than half of that."""

FAINT = 0.1
"""An item whose mask is a smaller share of its square has too little to see."""

_TRIES = 8


@dataclass(frozen=True)
class Scene:
    """A scene.

    Attributes:
        image: uint8 [H, W], of photographs [H, W, 3].
        boxes: float64 [n, 4], x0, y0, x1, y1 in pixels of all that each item is, its hidden part included.
        instances: uint16 [H, W], 0 the ground and k + 1 what is visible of item k.
        items: n places of the items in what they were chosen from.
    """

    image: np.ndarray
    boxes: np.ndarray
    instances: np.ndarray
    items: tuple[int, ...]

    def objects(self, labels: Sequence[str]) -> Objects:
        """Return what lies in the scene; ``labels`` are those of all that the items were chosen from."""
        return Objects(
            categories=tuple(labels[item] for item in self.items),
            boxes=self.boxes.astype(np.float64),
            crowd=(False,) * len(self.items),
            instances=self.instances,
        )


def draw(random: np.random.Generator, items_nhw: np.ndarray, spec: ImageSpec) -> Scene:
    """Return a scene of ``spec``'s size, of some of ``items_nhw`` uint8 [N, h, w]; one at least lies in it."""
    image = _ground(random, spec.height, spec.width)
    instances = np.zeros(image.shape, np.uint16)
    whole: list[np.ndarray] = []
    chosen: list[int] = []
    wanted = random.integers(ITEMS[0], ITEMS[1], endpoint=True)
    while not chosen:
        for _ in range(wanted):
            item = int(random.integers(len(items_nhw)))
            for _ in range(_TRIES):
                light = _laid(random, items_nhw[item], spec)
                mask = light > OPAQUE // 2
                if _fits(mask, whole, instances, spec):
                    break
            else:
                continue
            image = _over(image, light, int(random.integers(150, 256)))
            whole.append(mask)
            chosen.append(item)
            instances[mask] = len(whole)
    return Scene(image, np.array([box(mask) for mask in whole]), instances, tuple(chosen))


def _ground(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return uint8 [height, width]: dark blobs of a random size and grain, smooth but for a little noise."""
    cells = random.integers(2, 9)
    darkest, brightest = random.integers(0, 50), random.integers(50, 120)
    coarse = random.integers(darkest, brightest, (cells, cells), endpoint=True).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
    return (np.asarray(smooth) + random.integers(0, 16, (height, width))).astype(np.uint8)


def _laid(random: np.random.Generator, item: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """Return ``item`` at a random size and place on black, uint8 [height, width] of the scene."""
    shorter = min(spec.height, spec.width)
    side = int(random.integers(round(SIDES[0] * shorter), round(SIDES[1] * shorter), endpoint=True))
    resized = np.asarray(Image.fromarray(item).resize((side, side), Image.Resampling.BILINEAR))
    row, column = (
        int(random.integers(0, extent - side, endpoint=True)) for extent in (spec.height, spec.width)
    )
    laid = np.zeros((spec.height, spec.width), np.uint8)
    laid[row : row + side, column : column + side] = resized
    return laid


def _fits(mask: np.ndarray, others: list[np.ndarray], instances: np.ndarray, spec: ImageSpec) -> bool:
    """Tell whether an item has enough to see and leaves enough of the ``others``, of which ``instances`` are seen."""
    least = FAINT * (SIDES[0] * min(spec.height, spec.width)) ** 2
    if mask.sum() < least:
        return False
    return all(
        ((instances == number) & ~mask).sum() >= VISIBLE * other.sum()
        for number, other in enumerate(others, start=1)
    )


def _over(image: np.ndarray, light: np.ndarray, tone: int) -> np.ndarray:
    """Lay an item of brightness ``light`` and greatest brightness ``tone`` over the image; in whole numbers."""
    cover = np.minimum(light.astype(np.int32) * 255 // OPAQUE, 255)
    return ((image * (255 - cover) + (light.astype(np.int32) * tone // 255) * cover) // 255).astype(np.uint8)


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of what bool ``mask`` [H, W] covers, in pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
