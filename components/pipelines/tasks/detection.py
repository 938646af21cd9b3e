"""Detection: ``objects``, ``[{"label", "score", "box"}, ...]``, the surest first.

A box is ``{"xmin", "ymin", "xmax", "ymax"}``, in pixels of the picture as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from components.bundles.signature import Arrays
from components.pipelines import image_inputs
from components.pipelines.postprocess import Answer, Description
from components.pipelines.tasks import Given, Prepared, Usage

USAGE = Usage()

SURE = 0.5
"""From this score on an object is told."""

example = image_inputs.example


def requests(description: Description, pictures: Iterable[Prepared], given: Given) -> Iterator[Arrays]:
    """Yield ``image`` and ``size``, height and width of each picture as it came, some pictures at a time."""
    for batch in image_inputs.batches(pictures):
        yield {
            "image": np.concatenate([prepared for prepared, _ in batch]),
            "size": np.array([(height, width) for _, (width, height) in batch], np.int64),
        }


def read(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    """Return ``objects`` of each picture."""
    corners, classes = ("xmin", "ymin", "xmax", "ymax"), description["classes"]
    found = []
    for boxes, scores, labels in zip(outputs["boxes"], outputs["scores"], outputs["labels"], strict=True):
        surest = [q for q in np.argsort(-scores, kind="stable") if scores[q] >= SURE]
        found.append(
            {
                "objects": [
                    {
                        "label": classes[labels[q]],
                        "score": float(scores[q]),
                        "box": dict(zip(corners, boxes[q].tolist(), strict=True)),
                    }
                    for q in surest
                ]
            }
        )
    return found


def line(answer: Answer) -> str:
    """Return the objects with their corners in whole pixels."""
    return "  ".join(_object(one) for one in answer["objects"]) or "nothing"


def _object(found: dict[str, Any]) -> str:
    x0, y0, x1, y1 = (round(value) for value in found["box"].values())
    return f"{found['label']} {found['score']:.3f} [{x0} {y0} {x1} {y1}]"


def objects(description: Description, answer: Answer, shown: Any, top_k: int) -> Any:
    """Return the objects."""
    return answer["objects"]


SHAPES = {"object-detection": objects}
