"""Text to image: ``images`` of what a ``prompt`` says, ``count`` of them, from a ``seed``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from components.bundles.signature import Arrays
from components.pipelines import image_inputs, parameters
from components.pipelines.postprocess import Answer, Description, picture
from components.pipelines.tasks import Given, Prepared, Takes, Usage, generation
from data.errors import UserError

USAGE = Usage(
    takes=Takes.PROMPT,
    parameters=generation.USAGE.parameters,
    page="prompts",
    curl="-o drawn.png '{url}/generate?prompt={prompt}&seed=3'",
    read_bundle="grid.png --prompt TEXT --seed 0",
    generative=True,
)
SHAPES = {"text-to-image": generation.images}

read = generation.read
line = image_inputs.no_line


def requests(description: Description, pictures: Iterable[Prepared], given: Given) -> Iterator[Arrays]:
    """Yield one request for ``count`` images of what the prompt says; "" is for whatever it comes to.

    Raises:
        UserError: a value is out of range, or the prompt is missing or too long or has an unknown word.
    """
    seed = parameters.seed(description, given.get("seed", 0))
    count = parameters.count(description, given.get("count", 1))
    if given.get("label") is not None:
        raise UserError(f"{description['name']}: draws what a prompt says; leave the label out.")
    text = parameters.known_words(description, given.get("prompt"))
    yield {"prompt": np.array([text] * count, dtype=object), "seed": seed}


def example(inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], k: int) -> Answer:
    """Return golden example ``k``: a prompt, and the picture that was drawn."""
    return {"prompt": inputs["prompt"][k], "image": picture(outputs["image"][k])}
