"""Density: ``scores`` as of classification, ``log_likelihood`` (nats) and ``bits_per_dim``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from components.pipelines import image_inputs
from components.pipelines.postprocess import Answer, Description
from components.pipelines.tasks import Usage, classification

USAGE = Usage(generative=True)

requests = image_inputs.requests
example = image_inputs.example


def read(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    """Return the classes of each picture, and how likely it is."""
    (image,) = (tensor["shape"] for tensor in description["inputs"])
    nats_per_bit = math.log(2) * math.prod(image[1:])
    return [
        {**answer, "log_likelihood": float(nats), "bits_per_dim": float(-nats) / nats_per_bit}
        for answer, nats in zip(
            classification.read(description, outputs), outputs["log_likelihood"], strict=True
        )
    ]


def line(answer: Answer) -> str:
    """Return the most likely classes, and the bits per dimension."""
    return f"{classification.line(answer)}  {answer['bits_per_dim']:.2f} bits per dimension"


def whole(description: Description, answer: Answer, shown: Any, top_k: int) -> Any:
    """Return the answer as it is."""
    return answer


SHAPES = {"image-classification": classification.most_likely, "density": whole}
