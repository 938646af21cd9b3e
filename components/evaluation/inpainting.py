"""Filling in missing pixels: the lower half of test images, by a density and by what needs no model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from components.bundles.signature import Arrays
from components.evaluation.hooks import Evaluated
from components.metrics import bootstrap
from components.metrics.measurement import Metric
from components.metrics.nearest import nearest
from data import at_once
from data.arrays import whole
from data.prepared import PreparedData

IMAGES = 500
"""How many test images are inpainted at most."""

NUMBERS = 2**22
"""Of these images together: of large ones fewer are inpainted."""

_SHOWN = 12
_GREY = 128


METRICS = ("filling_error", "filling_error_mean_image", "filling_error_nearest")


def hidden(images: np.ndarray) -> np.ndarray:
    """Return bool [N, H, W]: what is missing of ``images`` uint8 [N, H, W, C]; the upper half is seen."""
    missing = np.zeros(images.shape[:3], dtype=bool)
    missing[:, images.shape[1] // 2 :] = True
    return missing


def fill_in(tell: Callable[..., Any], model: Evaluated) -> Arrays:
    """Return ``filled_in``: the first test images, whose lower halves the family was not shown."""
    shape = model.data.spec.shape
    images = model.data.test.images[: at_once.pictures(shape, IMAGES, NUMBERS)]
    return {"filled_in": tell(images, hidden(images))}


def metrics(filled: np.ndarray, data: PreparedData) -> dict[str, Metric]:
    """Return the errors of ``filled`` uint8 [N, H, W, C], the first N test images with their lower halves filled in.

    Each is the root mean squared error of the missing pixels, on [0, 1]. What needs no model is measured with it:
    the mean training image, and the lower half of the training image whose upper half is nearest.
    """
    images, train = data.test.images[: len(filled)], whole(data.train.images)
    seen = images.shape[1] // 2
    mean = train[:, seen:].mean(axis=0, dtype=np.float64)
    copied = train[nearest(images[:, :seen], train[:, :seen])]
    lower = zip(METRICS, (filled[:, seen:], mean[None], copied[:, seen:]), strict=True)
    return {name: _error(halves, images[:, seen:]) for name, halves in lower}


def _error(filled: np.ndarray, right: np.ndarray) -> Metric:
    """Return the root of the mean over images; so are the ends of its interval."""
    squares = ((filled.astype(np.float64) - right) / 255) ** 2
    mean = bootstrap.mean(squares.reshape(len(right), -1).mean(axis=1))
    return Metric(*np.sqrt([mean.value, mean.low, mean.high]).tolist(), "lower")


def draw(path: Path, filled: np.ndarray, data: PreparedData) -> None:
    """Draw the first images: as they are, without their lower halves, and filled in."""
    from components.pictures import grid

    images = data.test.images[:_SHOWN]
    masked = np.where(hidden(images)[..., None], np.uint8(_GREY), images)
    rows = np.concatenate([images, masked, filled[:_SHOWN]])
    grid.draw(
        path,
        rows,
        columns=len(images),
        title="Test images, what is left of them, and what is filled in",
        cell=84,
    )
