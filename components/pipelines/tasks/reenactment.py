"""Reenactment: ``image``, the person of some pictures (shots) with ``landmarks``, points in [0, 1] of the sides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from components.bundles.signature import Arrays
from components.pipelines import image_inputs
from components.pipelines.postprocess import Answer, Description, picture
from components.pipelines.tasks import Given, Prepared, Takes, Usage
from data.errors import UserError

USAGE = Usage(
    takes=Takes.SHOTS,
    parameters=("landmarks",),
    page="faces",
    read_bundle="shot.png --landmarks points.json",
)
SHAPES = {"image-to-image": image_inputs.image}

read = image_inputs.read_images
line = image_inputs.no_line


def requests(description: Description, pictures: Iterable[Prepared], given: Given) -> Iterator[Arrays]:
    """Yield the landmarks and all shots.

    Raises:
        UserError: the landmarks are no points, too many or too few, or not finite.
    """
    points = landmarks(description, given.get("landmarks"))
    yield {"landmarks": points, "shots": np.concatenate([prepared for prepared, _ in pictures])[None]}


def landmarks(description: Description, points: Any) -> np.ndarray:
    """Return float32 [1, L, 2] of as many points as the graph takes, in [0, 1] of the picture's sides.

    Raises:
        UserError: they are no points, too many or too few, or not finite.
    """
    wanted = next(tensor["shape"][1] for tensor in description["inputs"] if tensor["name"] == "landmarks")
    try:
        values = np.asarray(points, dtype=np.float32)
    except (TypeError, ValueError):
        values = np.empty(0, np.float32)
    if values.shape != (wanted, 2) or not np.isfinite(values).all():
        told = f"must be {wanted} points [x, y] in [0, 1] of the picture's sides"
        raise UserError(f"{description['name']}: landmarks {told}.")
    return values[None]


def example(inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], k: int) -> Answer:
    """Return golden example ``k``: a person, and a pose with its landmarks."""
    return {
        "image": picture(inputs["shots"][k][0]),
        "pose": picture(outputs["image"][k]),
        "landmarks": inputs["landmarks"][k].tolist(),
    }
