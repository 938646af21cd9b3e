"""Tinted pictures: an image in one ink on one ground, and a caption that says so, in whole numbers alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.image_statistics import grey
from data.recipes.settings import Colour, TintedSpec

APART = 51
"""Least difference of ink and ground in levels of grey, a fifth of all: enough to tell them apart without colours."""


@dataclass(frozen=True)
class Look:
    """What a picture is of.

    Attributes:
        item: place of the image that it shows.
        ink: name of the colour that bright pixels take.
        ground: name of the colour of black ones.
    """

    item: int
    ink: str
    ground: str


def pairs(settings: TintedSpec) -> list[tuple[str, str]]:
    """Return the names of each ink and ground that are told apart clearly."""
    return [
        (ink, ground)
        for ink, of_ink in settings.inks.items()
        for ground, of_ground in settings.grounds.items()
        if abs(_grey(of_ink) - _grey(of_ground)) >= APART
    ]


def invertible(settings: TintedSpec) -> np.ndarray:
    """Return for each of :func:`pairs` whether no other picture looks like it with ink and ground exchanged, bool."""
    seen = pairs(settings)
    return np.array([(ground, ink) not in seen for ink, ground in seen])


def room(labels: np.ndarray, inverted: np.ndarray, settings: TintedSpec) -> int:
    """Return how many looks :func:`looks` can give of such images."""
    colours = np.where(inverted, invertible(settings).sum(), len(pairs(settings)))
    classes = np.unique(labels)
    return len(classes) * min(int(colours[labels == label].sum()) for label in classes)


def looks(
    labels: np.ndarray, inverted: np.ndarray, count: int, settings: TintedSpec, split: int
) -> list[Look]:
    """Return ``count`` different looks, no more than :func:`room`; of more, the first are the same.

    Classes take turns; of a class its images do, in a random order, and each image comes in other colours each time.

    Args:
        labels: int64 [M], the class of each image.
        inverted: bool [M], whether it is to be seen inverted, for which some colours do not serve.
        count: how many.
        settings: the colours, and the seed.
        split: number of the split, which has random numbers of its own.
    """
    random = np.random.default_rng([settings.seed, split])
    members = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    colours, serves = pairs(settings), invertible(settings)
    order = [
        row[serves[row]] if only_some else row
        for row, only_some in zip(
            random.permuted(np.tile(np.arange(len(colours)), (len(labels), 1)), axis=1), inverted, strict=True
        )
    ]
    found = []
    for number in range(count):
        turn, place = divmod(number, len(members))
        time, turn = divmod(turn, len(members[place]))
        item = int(members[place][turn])
        found.append(Look(item, *colours[order[item][time]]))
    return found


def draw(
    look: Look,
    item: np.ndarray,
    name: str,
    shape: tuple[int, int],
    settings: TintedSpec,
    stream: tuple[int, int],
    *,
    inverted: bool = False,
) -> tuple[np.ndarray, str]:
    """Return the picture of a look, and its caption.

    Args:
        look: which colours.
        item: uint8 [h, w], the image, as large as it is to be seen; it lies anywhere in the picture, all of it.
        name: what the caption calls it.
        shape: height and width of the picture, no less than the item's.
        settings: the colours, and the wordings.
        stream: which split and which picture of it; each has random numbers of its own.
        inverted: the ink is where the ground is said to be, and the ground where the ink is.

    Returns:
        uint8 [H, W, 3] and the caption.
    """
    random = np.random.default_rng([settings.seed, *stream])
    light = np.zeros(shape, np.uint8)
    height, width = item.shape
    top, left = random.integers(shape[0] - height + 1), random.integers(shape[1] - width + 1)
    light[top : top + height, left : left + width] = item
    wording = settings.wordings[random.integers(len(settings.wordings))]
    caption = wording.format(ink=look.ink, ground=look.ground, name=name)
    light = 255 - light if inverted else light
    return _mixed(light, settings.inks[look.ink], settings.grounds[look.ground]), caption


def enlarged(images_nhw: np.ndarray, factor: int) -> np.ndarray:
    """Return uint8 [N, factor H, factor W] of uint8 [N, H, W]: bilinear between pixels' centres, halves rounded up.

    Beyond the outermost centres the border goes on as it is.
    """
    sums = _stretched(_stretched(images_nhw.astype(np.int64), factor, axis=1), factor, axis=2)
    whole = (2 * factor) ** 2
    return ((2 * sums + whole) // (2 * whole)).astype(np.uint8)


def _stretched(values: np.ndarray, factor: int, axis: int) -> np.ndarray:
    """Return values between those along an axis, in units of 1 / (2 factor)."""
    size = values.shape[axis]
    # The centre of a new pixel, from that of the first old one, in units of 1 / (2 factor).
    centre = np.clip(2 * np.arange(factor * size) + 1 - factor, 0, 2 * factor * (size - 1))
    before, beyond = divmod(centre, 2 * factor)
    after = np.minimum(before + 1, size - 1)
    beyond = np.expand_dims(beyond, tuple(range(1, values.ndim - axis)))
    return values.take(before, axis) * (2 * factor - beyond) + values.take(after, axis) * beyond


def _mixed(light_hw: np.ndarray, ink: Colour, ground: Colour) -> np.ndarray:
    """Return uint8 [H, W, 3]: the ground where the light is 0, the ink where it is 255, in between a share of each.

    The ink's share rises fastest in the dark, as 1 - (1 - light)^2: a dim item, too, is of its ink's colour.
    """
    ground_share = (255 - light_hw.astype(np.int64)[..., None]) ** 2
    mixed = (255**2 - ground_share) * np.array(ink) + ground_share * np.array(ground)
    return ((mixed + 255**2 // 2) // 255**2).astype(np.uint8)


def _grey(colour: Colour) -> int:
    return int(grey(np.array(colour, np.uint8).reshape(1, 1, 1, 3))[0, 0, 0])
