"""Generation: ``images`` of a ``seed``, ``count`` of them, of the class ``label`` where the model draws by class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from components.bundles.signature import Arrays
from components.pipelines import image_inputs, parameters
from components.pipelines.postprocess import Answer, Description, picture
from components.pipelines.tasks import Given, Prepared, Takes, Usage
from data.errors import UserError

USAGE = Usage(
    takes=Takes.SEED,
    parameters=("seed", "count", "label", "prompt"),
    page="seeds",
    curl="-o drawn.png '{url}/generate?seed=3&count=16'",
    read_bundle="grid.png --seed 0",
    generative=True,
)

line = image_inputs.no_line


def requests(description: Description, pictures: Iterable[Prepared], given: Given) -> Iterator[Arrays]:
    """Yield one request for ``count`` images; image ``i`` of a seed does not depend on ``count``.

    Raises:
        UserError: a value is out of range, there is no such class, or the model draws none by class or by words.
    """
    name, label = description["name"], given.get("label")
    asked = {"seed": parameters.seed(description, given.get("seed", 0))}
    count = parameters.count(description, given.get("count", 1))
    if given.get("prompt") is not None:
        raise UserError(f"{name}: reads no prompt; leave it out.")
    asked["count"] = np.array([count], np.int64)
    if any(tensor["name"] == "label" for tensor in description["inputs"]):
        asked["label"] = parameters.label(description, label)
    elif label is not None:
        raise UserError(f"{name}: draws no images by class; leave the label out.")
    yield asked


def read(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    """Return one answer with all ``images``."""
    return [{"images": [picture(image) for image in outputs["image"]]}]


def example(inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], k: int) -> Answer:
    """Return an image of the golden request, which has no rows."""
    return {"image": picture(outputs["image"][k])}


def images(description: Description, answer: Answer, shown: Any, top_k: int) -> Any:
    """Return the images."""
    return answer["images"]


SHAPES = {"unconditional-image-generation": images}
