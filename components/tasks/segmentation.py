"""Segmentation: a class for each pixel. Mean intersection over union first (Everingham et al. 2010, section 4.2).

It is of all test pixels together: an image whose few pixels are all wrong moves it less than a large object does. Its
interval is of test sets whose images are drawn anew. The ground counts as a class of its own; pixels of crowds count
for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Tensor, Tolerance, image_tensor
from components.evaluation import hooks, image_inputs
from components.evaluation.hooks import Hook
from components.metrics import bootstrap
from components.metrics.bootstrap import Statistic
from components.metrics.measurement import Measurement, Metric
from components.metrics.paired import SetScores
from data.arrays import whole
from data.errors import UserError
from data.prepared import UNCOUNTED, DataSpec, PreparedData

TOLERANCES = {
    # Where two classes are as likely as each other, a pixel may be of either.
    "mask": Tolerance(0.5, exceptions=0.002),
}

MASK_SHARE = 0.01
"""Share of an image's pixels whose class may be another one, where two are as likely as each other."""

SHOWN = 8

COMPARED_BY_JUDGE = False

METRICS = ("mean_iou", "ground_iou", "pixel_accuracy")

HOOKS: dict[str, Hook] = {}

extend = hooks.nothing_more
answer = image_inputs.answer
inputs = image_inputs.inputs


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    return [image_tensor(spec)], [Tensor("mask", "uint8", (-1, spec.height, spec.width))]


def statistic(answers: Arrays, data: PreparedData) -> Statistic:
    """Return the mean overlap and that of each class, [B, 1 + K], of sets that hold test images so often."""
    shared, either = overlaps(answers["mask"], _truth(data), data.spec.num_classes)

    def measure(counts: np.ndarray) -> np.ndarray:
        by_value = _ratio(counts @ shared, counts @ either)
        return np.concatenate([_mean(by_value)[:, None], by_value[:, 1:]], axis=1)

    return measure


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return the share of each test image's counted pixels that are right; 1 where none is counted."""
    counted = _truth(data) != UNCOUNTED
    right = ((answers["mask"] == _truth(data)) & counted).sum(axis=(1, 2))
    pixels = counted.sum(axis=(1, 2))
    return np.divide(right, pixels, out=np.ones(len(right)), where=pixels > 0)


def paired(answers: Arrays, data: PreparedData) -> list[SetScores]:
    """Return :func:`statistic`: a model is compared on the sets of images that the other is compared on."""
    return [SetScores("mean_iou", statistic(answers, data), image_inputs.holding(data))]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield the share of right pixels of each image."""
    shares = scores(answers, data)
    yield Agreement(
        "pixel_accuracy", "right pixels", shares, columns["pixel_accuracy"], Tolerance(MASK_SHARE)
    )


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return the mean overlap of ground and classes, the ground's own, the share of right pixels; overlaps by class.

    A class that neither the truth nor the answers hold has no overlap and is not part of the mean.

    Raises:
        UserError: no object has a pixel in the test split.
    """
    if not ((_truth(data) > 0) & (_truth(data) != UNCOUNTED)).any():
        raise UserError(f"{data.folder}: no object in the test split: nothing can be measured.")
    shared, either = overlaps(answers["mask"], _truth(data), data.spec.num_classes)

    def of_all(counts: np.ndarray) -> np.ndarray:
        by_value = _ratio(counts @ shared, counts @ either)
        return np.stack([_mean(by_value), by_value[:, 0]], axis=1)

    mean_iou, ground_iou = bootstrap.of_sets(of_all, len(data.test))
    metrics = {"mean_iou": Metric.of(mean_iou, "higher")}
    if ground_iou is not None:
        metrics["ground_iou"] = Metric.of(ground_iou, "higher")
    metrics["pixel_accuracy"] = Metric.of(bootstrap.mean(scores(answers, data)), "higher")
    return Measurement("mean_iou", metrics, _per_class(answers, data))


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return the share of right pixels of each image."""
    return {"pixel_accuracy": scores(answers, data)}


def overlaps(masks: np.ndarray, truth: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels that an image's answer and truth share, and that either has, int64 [N, 1 + K] each.

    Args:
        masks: uint8 [N, H, W], the answers.
        truth: uint8 [N, H, W]; what is ``UNCOUNTED`` there is left out.
        num_classes: K; column 0 is the ground's.
    """
    shared = np.empty((len(masks), 1 + num_classes), np.int64)
    either = np.empty_like(shared)
    for place, (ours, theirs) in enumerate(zip(masks, truth, strict=True)):
        counted = theirs != UNCOUNTED
        ours, theirs = ours[counted], theirs[counted]
        shared[place], of_ours, of_theirs = (
            np.bincount(part, minlength=1 + num_classes) for part in (ours[ours == theirs], ours, theirs)
        )
        either[place] = of_ours + of_theirs - shared[place]
    return shared, either


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw test images with their right masks and the answers, first as they come, then the worst of them."""
    from components.pictures import masks

    order = np.argsort(scores(answers, data), kind="stable")
    chosen = {"masks": np.arange(min(SHOWN, len(data.test))), "mistakes": order[:SHOWN]}
    titles = {
        "masks": "Test images, what they hold, and the answers",
        "mistakes": "Most pixels wrong: test images, what they hold, and the answers",
    }
    for name, index in chosen.items():
        parts = data.test.images[index], _truth(data)[index], answers["mask"][index]
        masks.draw(folder / f"{name}.png", *parts, data.spec.classes, titles[name])


def _truth(data: PreparedData) -> np.ndarray:
    return whole(data.test.masks)


def _per_class(answers: Arrays, data: PreparedData) -> list[dict]:
    once = np.ones((1, len(data.test)), np.int64)
    found = statistic(answers, data)(once)[0, 1:]
    return [
        {
            "class": name,
            "examples": int((data.test.box_labels == k).any(axis=1).sum()),
            "iou": None if np.isnan(found[k]) else float(found[k]),
        }
        for k, name in enumerate(data.spec.classes)
    ]


def _ratio(shared: np.ndarray, either: np.ndarray) -> np.ndarray:
    return np.divide(shared, either, out=np.full(shared.shape, np.nan), where=either > 0)


def _mean(by_value: np.ndarray) -> np.ndarray:
    """Return [B]: the mean over the values of [B, 1 + K] that are not NaN, and NaN where none is."""
    there = ~np.isnan(by_value)
    total = np.where(there, by_value, 0).sum(axis=1)
    return np.divide(total, there.sum(axis=1), out=np.full(len(total), np.nan), where=there.any(axis=1))
