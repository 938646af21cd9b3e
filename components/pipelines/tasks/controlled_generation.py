"""Controlled generation: ``image``, what a ``prompt`` says, drawn by the edge map that is shown, from a ``seed``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from components.bundles.signature import Arrays
from components.pipelines import image_inputs, parameters
from components.pipelines.postprocess import Answer, Description, picture
from components.pipelines.tasks import Given, Prepared, Usage

USAGE = Usage(
    parameters=("prompt", "seed"),
    curl="-o drawn.png --data-binary @edges.png '{url}/predict?prompt={prompt}&seed=3'",
    read_bundle="edges.png --prompt TEXT --output made.png",
)
SHAPES = {"image-to-image": image_inputs.image}

read = image_inputs.read_images
line = image_inputs.no_line


def requests(description: Description, pictures: Iterable[Prepared], given: Given) -> Iterator[Arrays]:
    """Yield a request for each edge map: each is from the seed's first noise, as if it were the only one.

    Raises:
        UserError: the prompt is missing or too long, or has an unknown word; the seed is out of range.
    """
    prompt = np.array([parameters.known_words(description, given.get("prompt"))], dtype=object)
    seed = parameters.seed(description, given.get("seed", 0))
    for prepared, _ in pictures:
        yield {"image": prepared, "prompt": prompt, "seed": seed}


def example(inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], k: int) -> Answer:
    """Return golden example ``k``: a prompt, and the edge map that it is drawn by."""
    return {"prompt": inputs["prompt"][k], "image": picture(inputs["image"][k])}
