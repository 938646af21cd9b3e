"""Data sets that are made from another one: its splits, classes and ids stay, so that no test image is trained on."""

from __future__ import annotations

import numpy as np

from data.edges import edges
from data.errors import UserError
from data.image_statistics import grey
from data.prepared import SPLITS, PreparedData
from data.sources import Arrays
from data.spec import DatasetSpec

_CHUNK = 512
"""Images at a time: what is computed on then stays in the processor's cache."""


def load(name: str, spec: DatasetSpec, parent: PreparedData) -> Arrays:
    """Return the data set ``name``, made of the images of ``parent`` as they were prepared.

    Raises:
        UserError: ``parent`` is no data for classification, or has images of another size.
    """
    where = f"data/{name}/dataset.yaml"
    if parent.spec.task != "classification":
        raise UserError(
            f"{where}: from: {parent.spec.name!r} is data for {parent.spec.task}; edges are made of images of "
            "one class each."
        )
    for key in ("height", "width", "channels", "levels"):
        ours, theirs = getattr(spec.image, key), getattr(parent.spec, key)
        if ours != theirs:
            raise UserError(
                f"{where}: image.{key}: {ours}, but the images of {parent.spec.name!r} have {theirs}."
            )
    parts = [(split, getattr(parent, split)) for split in SPLITS]
    images = np.concatenate([part.images for _, part in parts])
    ids = [id for _, part in parts for id in part.ids]
    return Arrays(
        ids=ids,
        sources=[f"{parent.spec.name}: {id}" for id in ids],
        splits=[split for split, part in parts for _ in part.ids],
        labels=[parent.spec.classes[label] for _, part in parts for label in part.labels],
        images=images,
        inputs=np.concatenate([edges(grey(images[i : i + _CHUNK])) for i in range(0, len(images), _CHUNK)])[
            ..., None
        ],
    )
