"""Translation: an image for an image. Mean absolute error first, beside what the mean image and copying reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Predict, Tensor, Tolerance
from components.evaluation import hooks, image_inputs
from components.evaluation.hooks import Hook
from components.metrics import bootstrap
from components.metrics.image_similarity import absolute_error, mean_image, structural_similarity
from components.metrics.measurement import Measurement, Metric
from components.metrics.nearest import nearest
from components.metrics.paired import Scores
from data.prepared import DataSpec, PreparedData

TOLERANCES = {"translated": Tolerance(1.0)}  # a grey level: a value between two levels may round either way

COPIED = 500
"""For how many test examples the nearest training input is searched."""

SHOWN = 12

COMPARED_BY_JUDGE = False

METRICS = ("l1", "error_ratio", "ssim", "l1_mean_image", "l1_nearest")

HOOKS: dict[str, Hook] = {}

extend = hooks.nothing_more


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    shape = (-1, spec.height, spec.width)
    inputs = [Tensor("image", "uint8", (*shape, spec.input_channels))]
    return inputs, [Tensor("translated", "uint8", (*shape, spec.channels))]


def inputs(data: PreparedData, split: str, start: int, count: int) -> Arrays:
    """Return ``count`` images of ``split`` to translate, from ``start`` on; after the last comes the first."""
    return {"image": image_inputs.cycled(getattr(data, split).inputs, start, count)}


def answer(predict: Predict, data: PreparedData) -> Arrays:
    """Return ``translated`` uint8 [N, H, W, C] of the whole test split, asked for in batches."""
    return image_inputs.ask(predict, {"image": data.test.inputs}, data)


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return the mean absolute error of each test example, on [0, 1]."""
    return absolute_error(answers["translated"], data.test.images)


def paired(answers: Arrays, data: PreparedData) -> list[Scores]:
    """Return the mean absolute error of each test example."""
    return [Scores("l1", "lower", scores(answers, data), data.test.labels)]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield the error: each pixel's difference is within the tolerance, so is their mean, which is on [0, 1]."""
    tolerance = Tolerance(TOLERANCES["translated"].absolute / 255)
    yield Agreement("l1", "the error", scores(answers, data), columns["l1"], tolerance)


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return error and structural similarity, over all and per class, and the errors of what needs no model.

    Those are the mean training image, and the training image whose input is nearest (of the first test examples).
    ``error_ratio`` is the error in units of the mean image's.
    """
    spec, train, test = data.spec, data.train, data.test
    error, similarity = scores(answers, data), structural_similarity(answers["translated"], test.images)
    of_mean_image = absolute_error(mean_image(train.images)[None], test.images)
    copied = train.images[nearest(test.inputs[:COPIED], train.inputs)]
    metrics = {
        "l1": Metric.of(bootstrap.mean(error), "lower"),
        "error_ratio": Metric.of(image_inputs.ratio(error, of_mean_image), "lower"),
        "ssim": Metric.of(bootstrap.mean(similarity), "higher"),
        "l1_mean_image": Metric.of(bootstrap.mean(of_mean_image), "lower"),
        "l1_nearest": Metric.of(bootstrap.mean(absolute_error(copied, test.images[:COPIED])), "lower"),
    }
    by_class = [
        image_inputs.mean_by_class(values, test.labels, spec.num_classes) for values in (error, similarity)
    ]
    per_class = [
        {
            "class": name,
            "examples": int((test.labels == k).sum()),
            "l1": by_class[0][k],
            "ssim": by_class[1][k],
        }
        for k, name in enumerate(spec.classes)
    ]
    return Measurement("l1", metrics, per_class)


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return the mean absolute error of each example."""
    return {"l1": scores(answers, data)}


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw some test examples of every class, and the worst: input, translation, and what it should be."""
    error = scores(answers, data)
    order = np.argsort(-error, kind="stable")
    chosen = {"translations": _of_each_class(data.test.labels, SHOWN), "worst_translations": order[:SHOWN]}
    titles = {
        "translations": "Inputs, their translations, and what they should be",
        "worst_translations": "The greatest errors: inputs, their translations, and what they should be",
    }
    for name, index in chosen.items():
        _draw(folder / f"{name}.png", answers["translated"][index], data, index, titles[name])


def _draw(path: Path, translated: np.ndarray, data: PreparedData, index: np.ndarray, title: str) -> None:
    from components.pictures import grid

    rows = [data.test.inputs[index], translated, data.test.images[index]]
    coloured = np.concatenate([np.broadcast_to(row, (*row.shape[:3], 3)) for row in rows])
    grid.draw(path, coloured, columns=len(index), title=title, cell=84)


def _of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the places of ``count`` examples: the first of each class, then the second of each, and so on."""
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return np.lexsort((labels, turn))[:count]
