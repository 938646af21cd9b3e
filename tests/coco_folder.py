"""A folder of photos with COCO's JSON beside them: real files that tests run the stages on, or spoil."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.photo_folder import encode, photo, write

HEIGHT, WIDTH = 40, 50
COUNT = 24


def rectangle(x: float, y: float, width: float, height: float) -> list[float]:
    """Return the outline of a box as a polygon."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def described() -> dict[str, Any]:
    """Return COCO's JSON of 24 photos: an ant in the upper left, on most a zebra over its corner; one has a crowd.

    The last photo has no object.
    """
    annotations: list[dict[str, Any]] = []
    for image in range(COUNT - 1):
        things = [(3, [4, 5, 20, 10])] + ([(7, [14, 10, 25, 20])] if image % 3 else [])
        for category, box in things:
            annotations.append({"image_id": image, "category_id": category, "bbox": box})
            annotations[-1] |= {"segmentation": [rectangle(*box)], "iscrowd": 0}
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[30:, 40:] = True
    annotations.append({"image_id": 0, "category_id": 7, "bbox": [40, 30, 10, 10], "iscrowd": 1})
    annotations[-1]["segmentation"] = {"counts": runs(crowd), "size": [HEIGHT, WIDTH]}
    images = [
        {"id": image, "file_name": f"{image:02d}.png", "width": WIDTH, "height": HEIGHT}
        for image in range(COUNT)
    ]
    annotations = [{"id": 100 + number, **one} for number, one in enumerate(annotations)]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "zebra"}, {"id": 3, "name": "ant"}],
    }


def runs(mask: np.ndarray) -> list[int]:
    """Return the lengths of runs of 0 and 1 in turn, down the columns."""
    flat = np.concatenate([[0], mask.T.ravel().astype(int)])
    ends = np.flatnonzero(np.diff(flat))
    return np.diff([0, *ends, mask.size]).tolist()


def fill(folder: Path, values: dict[str, Any] | None = None, name: str = "instances.json") -> None:
    """Write the photos and the JSON, as :func:`described` has it or with other ``values``."""
    for image in range(COUNT):
        write(folder / f"{image:02d}.png", encode(photo(300 + image, HEIGHT, WIDTH)))
    write(folder / name, json.dumps(described() if values is None else values).encode())
