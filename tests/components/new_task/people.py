"""Multi-label classification: ``scores``, ``[{"label", "score"}, ...]``, the highest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from components.pipelines import image_inputs
from components.pipelines.postprocess import Answer, Description
from components.pipelines.tasks import Usage, classification

USAGE = Usage()

requests = image_inputs.requests
example = image_inputs.example


def read(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    """Return ``scores`` of each picture."""
    return classification.read(description, {"probabilities": outputs["scores"]})


def line(answer: Answer) -> str:
    """Return the classes that are more likely there than not."""
    return "  ".join(one["label"] for one in answer["scores"] if one["score"] >= 0.5) or "nothing"


def labels(description: Description, answer: Answer, shown: Any, top_k: int) -> Any:
    """Return the classes with the ``top_k`` highest scores."""
    return answer["scores"][:top_k]


SHAPES = {"multi-label-image-classification": labels}
