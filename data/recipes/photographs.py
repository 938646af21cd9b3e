"""Scenes of photographs: things that were cut out, on grounds that are close-ups of other photographs.

Each thing, and each ground, is in the scenes of one split alone. A thing is turned a little, mirrored or not, brought
to a random size and laid on the ground by its own transparency. Later ones lie over earlier ones, as in
:mod:`data.recipes.scenes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data.errors import UserError
from data.prepared import SPLITS
from data.recipes.scenes import VISIBLE, Scene, box
from data.sources import Arrays, ImageFile
from data.spec import DatasetSpec, ImageSpec

ITEMS = (1, 6)
"""How many are tried; fewer lie in the scene where there is no room."""

SIDES = (0.18, 0.5)
"""Of an item's longer side, in units of the scene's shorter one."""

TURNED = 20.0
"""Degrees by which an item is turned at most."""

LEAST_SIDE = 48
"""Pixels of a photograph's longer side from which on it is an item."""

GROUND = (40, 0.5)
"""Of a close-up: its least side in pixels, and in units of the photograph's shorter side."""

COLOURS = 1 / 8
"""Of a close-up, in units of its pixels, at least: what has fewer is drawn."""

OPAQUE = 128
"""Alpha from which on a pixel is of the item."""

_TRIES = 8


@dataclass(frozen=True)
class Pool:
    """What the scenes of a split are made of: photographs, RGBA, that are items, and close-ups, RGB, for grounds."""

    items: list[tuple[ImageFile, Image.Image]]
    grounds: list[Image.Image]


def load(name: str, spec: DatasetSpec, files: Sequence[ImageFile]) -> Arrays:
    """Return the scenes of ``spec.scenes``, of the photographs in ``files``, whose sources name them.

    Raises:
        UserError: a split has no photographs of a class, or none that grounds could be taken from.
    """
    parts = _dealt(files, spec)
    ids, sources, splits, images, objects = [], [], [], [], []
    for place, split in enumerate(SPLITS):
        own = pool(name, split, parts[split])
        for number in range(getattr(spec.scenes, split)):
            random = np.random.default_rng([spec.scenes.seed, place, number])
            scene = draw(random, [picture for _, picture in own.items], own.grounds, spec.image)
            ids.append(f"{split}/{number:05d}")
            sources.append(", ".join(own.items[item][0].id for item in scene.items))
            splits.append(split)
            images.append(scene.image)
            objects.append(scene.objects([file.label for file, _ in own.items]))
    return Arrays(
        ids=ids,
        sources=sources,
        splits=splits,
        labels=[None] * len(ids),
        images=np.stack(images),
        objects=objects,
    )


def draw(
    random: np.random.Generator, items: Sequence[Image.Image], grounds: Sequence[Image.Image], spec: ImageSpec
) -> Scene:
    """Return a scene of ``spec``'s size, uint8 [H, W, 3], of some of ``items``, RGBA; one at least lies in it."""
    ground = grounds[int(random.integers(len(grounds)))]
    image = ground.resize((spec.width, spec.height), Image.Resampling.BICUBIC)
    instances = np.zeros((spec.height, spec.width), np.uint16)
    whole: list[np.ndarray] = []
    chosen: list[int] = []
    wanted = random.integers(ITEMS[0], ITEMS[1], endpoint=True)
    while not chosen:
        for _ in range(wanted):
            item = int(random.integers(len(items)))
            for _ in range(_TRIES):
                laid = _laid(random, items[item], spec)
                mask = np.asarray(laid)[..., 3] >= OPAQUE
                if mask.any() and _leaves_enough(mask, whole, instances):
                    break
            else:
                continue
            image.paste(laid, (0, 0), laid)
            whole.append(mask)
            chosen.append(item)
            instances[mask] = len(whole)
    return Scene(np.asarray(image), np.array([box(mask) for mask in whole]), instances, tuple(chosen))


def _laid(random: np.random.Generator, item: Image.Image, spec: ImageSpec) -> Image.Image:
    """Return ``item`` turned, mirrored or not, at a random size and place on what is transparent, of a scene's size."""
    shorter = min(spec.height, spec.width)
    longer = random.uniform(*SIDES) * shorter
    if random.integers(2):
        item = item.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = longer / max(item.size)
    size = tuple(max(1, round(side * scale)) for side in item.size)
    turned = item.resize(size, Image.Resampling.BILINEAR).rotate(
        random.uniform(-TURNED, TURNED), Image.Resampling.BILINEAR, expand=True
    )
    left, top = (
        int(random.integers(0, max(0, extent - side), endpoint=True))
        for extent, side in zip((spec.width, spec.height), turned.size, strict=True)
    )
    laid = Image.new("RGBA", (spec.width, spec.height))
    laid.paste(turned, (left, top))
    return laid


def _leaves_enough(mask: np.ndarray, others: Sequence[np.ndarray], instances: np.ndarray) -> bool:
    return all(
        ((instances == number) & ~mask).sum() >= VISIBLE * other.sum()
        for number, other in enumerate(others, start=1)
    )


def _dealt(files: Sequence[ImageFile], spec: DatasetSpec) -> dict[str, list[ImageFile]]:
    """Deal the photographs of each class to the splits, by ``spec.splits`` and ``spec.scenes.seed``."""
    parts: dict[str, list[ImageFile]] = {split: [] for split in SPLITS}
    for place, label in enumerate(sorted({file.label for file in files})):
        of_class = [file for file in files if file.label == label]
        order = np.random.default_rng([spec.scenes.seed, len(SPLITS), place]).permutation(len(of_class))
        last = round(len(of_class) * (1 - spec.splits.test))
        first = last - round(len(of_class) * spec.splits.validation)
        for split, chosen in zip(SPLITS, np.split(order, [first, last]), strict=True):
            parts[split] += [of_class[index] for index in sorted(chosen)]
    return parts


def pool(name: str, split: str, files: Sequence[ImageFile]) -> Pool:
    """Return what the scenes of a split are made of, from its ``files``.

    Raises:
        UserError: none of them is large enough for an item, or none has a close-up for a ground.
    """
    pictures = [(file, _opened(file.path)) for file in files]
    items = [(file, picture) for file, picture in pictures if max(picture.size) >= LEAST_SIDE]
    grounds = [found for _, picture in pictures if (found := _close_up(picture)) is not None]
    for what, found in (("is large enough for an item", items), ("has a close-up for a ground", grounds)):
        if not found:
            raise UserError(
                f"data/{name}/dataset.yaml: splits: of {len(files)} photographs for {split} none {what}."
            )
    return Pool(items, grounds)


def _opened(path: Path) -> Image.Image:
    """Return a photograph, RGBA, without what is transparent around it."""
    with Image.open(path) as file:
        picture = file.convert("RGBA")
    return picture.crop(picture.getchannel("A").point(_solid).getbbox())


_solid: Callable[[int], int] = [255 * (alpha >= OPAQUE) for alpha in range(256)].__getitem__


def _close_up(picture: Image.Image) -> Image.Image | None:
    """Return the middle of a photograph, RGB, where all of it is opaque.

    None of one that is too small, has holes or has so few colours that it was drawn.
    """
    least, share = GROUND
    side = int(min(picture.size) * share)
    if side < least:
        return None
    left, top = ((extent - side) // 2 for extent in picture.size)
    middle = picture.crop((left, top, left + side, top + side))
    has_holes = middle.getchannel("A").getextrema()[0] < 255
    is_drawn = middle.getcolors(int(COLOURS * side * side)) is not None
    return None if has_holes or is_drawn else middle.convert("RGB")
