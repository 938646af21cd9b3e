"""Classification: ``scores``, ``[{"label", "score"}, ...]``, the most likely first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from components.pipelines import image_inputs
from components.pipelines.postprocess import Answer, Description
from components.pipelines.tasks import Usage

USAGE = Usage(page="fitted board")

SHOWN = 3
"""How many classes a line names."""

requests = image_inputs.requests
example = image_inputs.example


def read(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    """Return ``scores`` of each picture."""
    classes = description["classes"]
    return [
        {"scores": [{"label": classes[k], "score": float(row[k])} for k in np.argsort(-row, kind="stable")]}
        for row in outputs["probabilities"]
    ]


def line(answer: Answer) -> str:
    """Return the most likely classes."""
    return "  ".join(f"{one['label']} {one['score']:.3f}" for one in answer["scores"][:SHOWN])


def most_likely(description: Description, answer: Answer, shown: Any, top_k: int) -> Any:
    """Return the ``top_k`` most likely classes."""
    return answer["scores"][:top_k]


SHAPES = {"image-classification": most_likely}
