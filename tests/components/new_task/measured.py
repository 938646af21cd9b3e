"""Multi-label classification: which classes a picture holds. Mean average precision over the classes."""

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
from data.prepared import DataSpec, PreparedData

TOLERANCES = {"scores": Tolerance(1e-4)}
COMPARED_BY_JUDGE = False
HOOKS: dict[str, Hook] = {}

extend = hooks.nothing_more
answer = image_inputs.answer
inputs = image_inputs.inputs


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    return [image_tensor(spec)], [Tensor("scores", "float32", (-1, spec.num_classes))]


def statistic(answers: Arrays, data: PreparedData) -> Statistic:
    """Return the average precision over all classes and of each, [B, 1 + K], of sets that hold test images so often."""
    right = image_inputs.holding(data)[:, 1:]
    orders = np.argsort(-answers["scores"], axis=0, kind="stable")

    def measure(counts: np.ndarray) -> np.ndarray:
        columns = []
        for k, order in enumerate(orders.T):
            drawn = counts[:, order]
            hits = drawn * right[order, k]
            seen = np.maximum(drawn.cumsum(axis=1), 1)
            found = hits.sum(axis=1)
            total = (hits * hits.cumsum(axis=1) / seen).sum(axis=1)
            columns.append(np.divide(total, found, out=np.full(len(total), np.nan), where=found > 0))
        by_class = np.stack(columns, axis=1)
        return np.concatenate([np.nanmean(by_class, axis=1, keepdims=True), by_class], axis=1)

    return measure


def paired(answers: Arrays, data: PreparedData) -> list[SetScores]:
    """Return :func:`statistic`."""
    return [SetScores("map", statistic(answers, data), image_inputs.holding(data))]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield the top score of each picture."""
    top = answers["scores"].max(axis=1)
    yield Agreement("confidence", "the top score", top, columns["confidence"], TOLERANCES["scores"])


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return the mean average precision, and the average precision of each class."""
    overall, *by_class = bootstrap.of_sets(statistic(answers, data), len(data.test))
    held = image_inputs.holding(data)[:, 1:].sum(axis=0)
    table = [
        {"class": name, "examples": int(count), "ap": interval.value if interval else None}
        for name, count, interval in zip(data.spec.classes, held, by_class, strict=True)
    ]
    return Measurement("map", {"map": Metric.of(overall, "higher")}, table)


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return the top score of each picture."""
    return {"confidence": answers["scores"].max(axis=1)}


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw the first pictures with the class of the top score."""
    from components.pictures import grid

    names = [data.spec.classes[k] for k in answers["scores"][:8].argmax(axis=1)]
    grid.draw(folder / "labels.png", data.test.images[:8], names, title="The top class")
