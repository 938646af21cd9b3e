"""Detection: boxes of objects, each of a class. Average precision first, as COCO measures it.

An average precision is no mean over images. Its interval is of test sets whose images are drawn anew, and so is that of
a difference between two models (:func:`statistic`): an image is matched once, and counted as often as it is drawn.

The graph answers query by query, not by score: near-equal scores could change places between PyTorch and ONNX Runtime,
and with them whole boxes. Whoever reads sorts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Predict, Tensor, Tolerance, image_tensor
from components.evaluation import hooks, image_inputs
from components.evaluation.hooks import Hook
from components.metrics import average_precision, bootstrap
from components.metrics.average_precision import EVERY_SIZE, THRESHOLDS, Boxes, Matches
from components.metrics.bootstrap import Statistic
from components.metrics.measurement import Measurement, Metric
from components.metrics.paired import SetScores
from data.errors import UserError
from data.prepared import DataSpec, PreparedData

TOLERANCES = {
    "boxes": Tolerance(0.01, relative=1e-4),  # pixels
    "scores": Tolerance(1e-4),
    # Of two classes that are equally likely either may come first.
    "labels": Tolerance(0.5, exceptions=0.01),
}

SIZES = {"small": (0.0, 0.41), "medium": (0.41, 0.75), "large": (0.75, 1.0)}
"""Shares of the training objects by area: in COCO, those below 32 x 32 pixels, below 96 x 96 and above; those
areas themselves say nothing about pictures of another size."""

SURE = 0.5
"""From this score on an answer counts as given, where answers are drawn or counted."""

METRICS = ("ap", "ap50", "ap75", "recall", "ap_small", "ap_medium", "ap_large")

COMPARED_BY_JUDGE = False

HOOKS: dict[str, Hook] = {"query_attention": hooks.query_attention}

extend = hooks.nothing_more


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    outputs = [Tensor("boxes", "float32", (-1, -1, 4)), Tensor("scores", "float32", (-1, -1))]
    return [image_tensor(spec), Tensor("size", "int64", (-1, 2))], [
        *outputs,
        Tensor("labels", "int64", (-1, -1)),
    ]


def inputs(data: PreparedData, split: str, start: int, count: int) -> Arrays:
    """Return ``count`` images of ``split`` from ``start`` on, as if the originals had been of several sizes."""
    places = np.arange(start, start + count)
    size = np.array([data.spec.height, data.spec.width]) * (1 + places[:, None] % 3)
    return image_inputs.inputs(data, split, start, count) | {"size": size}


def answer(predict: Predict, data: PreparedData) -> Arrays:
    """Return ``boxes`` float32 [N, Q, 4], in pixels of the prepared test images, ``scores`` and ``labels`` [N, Q]."""
    size = np.tile(np.array([data.spec.height, data.spec.width]), (len(data.test), 1))
    return image_inputs.ask(predict, {"image": data.test.images, "size": size}, data)


def found(answers: Arrays) -> Boxes:
    """Return the answers as boxes."""
    return Boxes(answers["boxes"], answers["labels"], answers["scores"])


def truth(data: PreparedData) -> Boxes:
    """Return the test split's objects, in pixels of the prepared images."""
    return Boxes(data.test.boxes * _sides(data.spec), data.test.box_labels)


def statistic(answers: Arrays, data: PreparedData) -> Statistic:
    """Return the average precision over all classes and of each, [B, 1 + K], of sets that hold test images so often."""
    matches = average_precision.match(found(answers), truth(data), data.spec.num_classes)

    def measure(counts: np.ndarray) -> np.ndarray:
        of_classes = [average_precision.precision_and_recall(every, counts)[0] for (every,) in matches]
        by_class = np.stack([precision.mean(axis=1) for precision in of_classes], axis=1)
        return np.concatenate([_mean(by_class)[:, None], by_class], axis=1)

    return measure


def paired(answers: Arrays, data: PreparedData) -> list[SetScores]:
    """Return :func:`statistic`: a model is compared on the sets of images that the other is compared on."""
    return [SetScores("ap", statistic(answers, data), image_inputs.holding(data))]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield the top score of each image."""
    top = answers["scores"].max(axis=1)
    yield Agreement("confidence", "the top score", top, columns["confidence"], TOLERANCES["scores"])


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return average precision and recall, over all sizes and by size, and of each class.

    ``ap`` is the mean over the overlaps .5 to .95 and the classes, ``ap50`` and ``ap75`` at one; ``recall`` the mean
    of the greatest recalls, with 100 answers a class and image at most.

    Raises:
        UserError: there is no object in the test split.
    """
    test, spec = data.test, data.spec
    if not (test.box_labels >= 0).any():
        raise UserError(f"{data.folder}: no object in the test split: nothing can be measured.")
    ranges = (EVERY_SIZE, *size_ranges(data).values())
    matches = average_precision.match(found(answers), truth(data), spec.num_classes, ranges)
    intervals = bootstrap.of_sets(lambda counts: _summary(matches, counts), len(test))
    # A size that no test object has is not measured.
    metrics = {
        name: Metric.of(interval, "higher")
        for name, interval in zip(METRICS, intervals, strict=True)
        if interval is not None
    }
    return Measurement("ap", metrics, _per_class(matches, spec, len(test)))


def size_ranges(data: PreparedData) -> dict[str, tuple[float, float]]:
    """Return the least and greatest area of small, medium and large objects, in pixels, by the training objects."""
    train = data.train
    known = average_precision.areas(train.boxes[train.box_labels >= 0] * _sides(data.spec))
    lows = [0.0, *np.quantile(known, [low for low, _ in SIZES.values()][1:])]
    return dict(zip(SIZES, zip(lows, [*lows[1:], np.inf], strict=True), strict=True))


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return of each image how many objects it has, how many are found, how many more are claimed, and the top score.

    An object is found by a sure answer of its class that overlaps it by half.
    """
    sure = answers["scores"] >= SURE
    right = average_precision.targets(found(answers), truth(data), data.spec.num_classes) >= 0
    return {
        "objects": (data.test.box_labels >= 0).sum(axis=1),
        "found": (right & sure).sum(axis=1),
        "false_alarms": (~right & sure).sum(axis=1),
        "confidence": answers["scores"].max(axis=1),
    }


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw answers on images, the worst mistakes, precision over recall, and where queries look, if that is known."""
    from components.pictures import detections, precision_recall

    boxes = found(answers), truth(data), data.spec.num_classes
    detections.draw(folder, answers, data, truth(data).corners, average_precision.targets(*boxes), SURE)
    matches = average_precision.match(*boxes)
    curves = {
        f"overlap {THRESHOLDS[place]:.2f}": np.mean(
            [average_precision.curve(every, place) for (every,) in matches if every.objects.any()], axis=0
        )
        for place in (0, 5, 8)
    }
    title = f"AP {measured.metrics['ap'].value:.3f}"
    precision_recall.draw(folder / "precision_recall.png", average_precision.RECALLS, curves, title)
    precision_recall.write(folder / "precision_recall.csv", average_precision.RECALLS, curves)


def _sides(spec: DataSpec) -> np.ndarray:
    return np.array([spec.width, spec.height, spec.width, spec.height], np.float64)


def _summary(matches: list[list[Matches]], counts: np.ndarray) -> np.ndarray:
    """Return the metrics in the order of :data:`METRICS`, [B, 7], of sets that hold each image so often."""
    by_range = []
    for place in range(len(matches[0])):
        pairs = [average_precision.precision_and_recall(of_class[place], counts) for of_class in matches]
        precision, recall = (np.stack([pair[k] for pair in pairs], axis=1) for k in (0, 1))  # [B, K, T]
        by_range.append(_mean(precision.mean(axis=2)))
        if place == 0:
            head = [_mean(precision[:, :, 0]), _mean(precision[:, :, 5]), _mean(recall.mean(axis=2))]
    return np.stack([by_range[0], *head, *by_range[1:]], axis=1)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean [B] over the classes of [B, K] that have objects, NaN where none has."""
    there = ~np.isnan(values)
    number = there.sum(axis=1)
    total = np.where(there, values, 0).sum(axis=1)
    return np.divide(total, number, out=np.full(len(values), np.nan), where=number > 0)


def _per_class(matches: list[list[Matches]], spec: DataSpec, size: int) -> list[dict]:
    once = np.ones((1, size), np.int64)
    table = []
    for name, (every, *_) in zip(spec.classes, matches, strict=True):
        precision, recall = (values[0] for values in average_precision.precision_and_recall(every, once))
        numbers = {"ap": precision.mean(), "ap50": precision[0], "recall": recall.mean()}
        there = int(every.objects.sum())
        table.append(
            {"class": name, "examples": there}
            | {key: float(value) if there else None for key, value in numbers.items()}
        )
    return table
