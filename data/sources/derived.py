"""Data sets that are made from another one: its splits and classes stay, so that no test image is trained on."""

from __future__ import annotations

import numpy as np

from data import scenes
from data.edges import edges
from data.errors import UserError
from data.image_statistics import grey
from data.objects import Objects
from data.prepared import SPLITS, PreparedData
from data.sources import Arrays
from data.spec import DatasetSpec

_CHUNK = 512
"""Images at a time: what is computed on then stays in the processor's cache."""


def load(name: str, spec: DatasetSpec, parent: PreparedData) -> Arrays:
    """Return the data set ``name``, made of the images of ``parent`` as they were prepared.

    Raises:
        UserError: ``parent`` is no data for classification, or its images are not such as the recipe takes.
    """
    where = f"data/{name}/dataset.yaml"
    if parent.spec.task != "classification":
        raise UserError(
            f"{where}: from: {parent.spec.name!r} is data for {parent.spec.task}; {spec.recipe} are made of images of "
            "one class each."
        )
    kept = {"edges": ("height", "width", "channels", "levels"), "scenes": ("channels",)}
    for key in kept[spec.recipe]:
        ours, theirs = getattr(spec.image, key), getattr(parent.spec, key)
        if ours != theirs:
            raise UserError(
                f"{where}: image.{key}: {ours}, but the images of {parent.spec.name!r} have {theirs}."
            )
    if spec.recipe == "edges":
        return _edges(parent)
    if spec.image.channels != 1:
        raise UserError(f"{where}: image.channels: {spec.image.channels}; scenes are made of grey images.")
    return _scenes(spec, parent)


def _edges(parent: PreparedData) -> Arrays:
    """Return pairs of an edge map and the image that it was made of, under the image's id."""
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


def _scenes(spec: DatasetSpec, parent: PreparedData) -> Arrays:
    """Return scenes of the items of each split; the sources name them."""
    ids, sources, splits, images, objects = [], [], [], [], []
    for place, split in enumerate(SPLITS):
        part = getattr(parent, split)
        items = np.asarray(part.images[..., 0])
        for number in range(getattr(spec.scenes, split)):
            random = np.random.default_rng([spec.scenes.seed, place, number])
            scene = scenes.draw(random, items, spec.image)
            ids.append(f"{split}/{number:05d}")
            sources.append(f"{parent.spec.name}: {', '.join(part.ids[item] for item in scene.items)}")
            splits.append(split)
            images.append(scene.image)
            objects.append(
                Objects(
                    categories=tuple(parent.spec.classes[part.labels[item]] for item in scene.items),
                    boxes=scene.boxes.astype(np.float64),
                    crowd=(False,) * len(scene.items),
                    instances=scene.instances,
                )
            )
    return Arrays(
        ids=ids,
        sources=sources,
        splits=splits,
        labels=[None] * len(ids),
        images=np.stack(images)[..., None],
        objects=objects,
    )
