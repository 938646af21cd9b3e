"""What tasks share whose models are shown pictures: requests of some at a time, golden examples, plain shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from components.bundles.signature import Arrays
from components.pipelines.postprocess import Answer, Description, picture
from components.pipelines.tasks import Given, Prepared

BATCH = 32
"""How many pictures are computed at once."""


def requests(description: Description, pictures: Iterable[Prepared], given: Given) -> Iterator[Arrays]:
    """Yield ``image``, some pictures at a time."""
    for batch in batches(pictures):
        yield {"image": np.concatenate([prepared for prepared, _ in batch])}


def batches(pictures: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    """Yield :data:`BATCH` pictures at a time."""
    waiting = iter(pictures)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def example(inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], k: int) -> Answer:
    """Return golden example ``k``: the picture."""
    return {"image": picture(inputs["image"][k])}


def read_images(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    """Return ``image`` of each example, where the graph gives images and nothing else."""
    (images,) = outputs.values()
    return [{"image": picture(image)} for image in images]


def image(description: Description, answer: Answer, shown: Any, top_k: int) -> Any:
    """Return the picture of an answer."""
    return answer["image"]


def no_line(answer: Answer) -> str:
    """Return "": the answer is a picture."""
    return ""
