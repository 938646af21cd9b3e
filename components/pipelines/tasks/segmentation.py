"""Segmentation: ``mask``, and ``segments``, ``[{"label", "share", "color"}, ...]`` of the classes that are on it.

The mask is of the size that the graph reads, with a palette: 0 the ground, k + 1 class k.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from components.pipelines import image_inputs
from components.pipelines.pictures import opened
from components.pipelines.postprocess import Answer, Description, color
from components.pipelines.tasks import Usage
from data import fit

USAGE = Usage()

requests = image_inputs.requests
example = image_inputs.example
line = image_inputs.no_line


def read(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    """Return ``mask`` and ``segments`` of each picture."""
    found = []
    for values in outputs["mask"]:
        mask = Image.fromarray(values, "P")
        mask.putpalette([0, 0, 0, *(int(color(k)[i : i + 2], 16) for k in range(255) for i in (1, 3, 5))])
        mask.info["transparency"] = 0  # the ground
        shares = np.bincount(values.ravel(), minlength=256) / values.size
        segments = [
            {"label": label, "share": float(shares[k + 1]), "color": color(k)}
            for k, label in enumerate(description["classes"])
            if shares[k + 1]
        ]
        found.append({"mask": mask, "segments": segments})
    return found


def masks(description: Description, answer: Answer, shown: Any, top_k: int) -> Any:
    """Return a mask for each class, of the size of the picture, 0 or 255."""
    how = description["image"].get("fit", "stretch")
    values = np.asarray(fit.back(answer["mask"], how, opened(shown).size))
    places = {name: k + 1 for k, name in enumerate(description["classes"])}
    return [
        {
            "label": segment["label"],
            "score": None,
            "mask": Image.fromarray(np.where(values == places[segment["label"]], np.uint8(255), np.uint8(0))),
        }
        for segment in answer["segments"]
    ]


SHAPES = {"image-segmentation": masks}
