"""Photographs of 500 x 375 pixels for benchmarks: JPEG files of ten things, of Debian's tuxpaint-stamps-default.

Every picture shows one of ten things that were cut out of photographs, once to six times, on a close-up of another
photograph, and all of it has grain, which close-ups lose: the files are about as large as a camera's (54 KB). Which of
the ten it is, is its class.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from data import spec
from data.prepared import SPLITS
from data.recipes import photographs
from data.recipes.photographs import Pool
from data.sources import tuxpaint
from data.spec import ImageSpec

THINGS = 10
SIZE = ImageSpec(height=375, width=500, channels=3)
QUALITY = 90
GRAIN = 5.0
"""Standard deviation of the brightness, in levels of 255, that comes to each pixel."""
SETTINGS = Path(__file__).parent.parent / "data/stamp_scenes/dataset.yaml"


def write(folder: Path, counts: dict[str, int], workers: int) -> None:
    """Write ``counts`` pictures of each split to ``folder/SPLIT/THING/NUMBER.jpg``, the same ones every time."""
    wanted = [(folder, split, number) for split in SPLITS for number in range(counts[split])]
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(_write, *zip(*wanted, strict=True), chunksize=50):
            pass


def _write(folder: Path, split: str, number: int) -> None:
    pool = _pool()
    thing = number % THINGS
    random = np.random.default_rng([SPLITS.index(split), number])
    scene = photographs.draw(random, [pool.items[thing][1]], pool.grounds, SIZE)
    path = folder / split / f"thing{thing}" / f"{number:05d}.jpg"
    grain = random.normal(0, GRAIN, (*scene.image.shape[:2], 1))
    pixels = np.clip(np.round(scene.image + grain), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "JPEG", quality=QUALITY)


@cache
def _pool() -> Pool:
    """Return ten things, drawn by lot, and all grounds."""
    name = SETTINGS.parent.name
    files = tuxpaint.load(name, spec.load(SETTINGS))
    pool = photographs.pool(name, "train", files)
    drawn = np.random.default_rng(0).permutation(len(pool.items))[:THINGS]
    return Pool([pool.items[item] for item in drawn], pool.grounds)
