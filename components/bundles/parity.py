"""Parity: the exported graph gives the answers that PyTorch gives, or nothing is exported.

Tensors are compared on real validation images at several batch sizes, because a graph can freeze the batch it
was exported with. The test split's answers are compared one by one with ``examples.parquet``, and their
metrics with ``metrics.json``: whatever the evaluate stage measured is what the graph does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq

from components.bundles.agreement import Agreement, Disagreement
from components.bundles.signature import Arrays, Predict, Tolerance
from components.metrics.measurement import Measurement
from data.errors import UserError
from data.prepared import PreparedData

BATCHES = (1, 2, 7)

METRIC_SHARE = 0.1
"""Metrics agree when they differ by at most this share of their 95 % interval's width (or by one example)."""


class Comparable(Protocol):
    """What parity asks of a task; ``components/tasks`` says what each verb does."""

    TOLERANCES: Mapping[str, Tolerance]

    def inputs(self, data: PreparedData, split: str, start: int, count: int) -> Arrays:
        """Return real inputs."""

    def agreements(
        self, answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData
    ) -> Iterator[Agreement]:
        """Yield what must agree example by example."""

    def measure(self, answers: Arrays, data: PreparedData) -> Measurement:
        """Return the metrics."""


def tensors(
    name: str, task: Comparable, onnx: Predict, pytorch: Predict, data: PreparedData
) -> dict[str, Any]:
    """Compare each output at batches of 1, 2 and 7 validation images (or seeds and counts).

    Returns:
        By batch size and output: the greatest difference and the tolerance.

    Raises:
        UserError: an output has another shape or dtype, or differs by more than its tolerance.
    """
    report: dict[str, Any] = {}
    for batch in BATCHES:
        inputs = task.inputs(data, "validation", batch, batch)
        answers, references = onnx(inputs), pytorch(inputs)
        report[str(batch)] = {
            output: _compare(
                f"{name}: {output!r} at batch {batch}", answers[output], reference, task.TOLERANCES[output]
            )
            for output, reference in references.items()
        }
    return report


def examples(
    name: str, task: Comparable, answers: Arrays, data: PreparedData, evaluated: Path
) -> dict[str, Any]:
    """Compare the ``answers`` of the graph on the test split with the evaluate folder.

    Returns:
        ``examples``: per column the greatest difference and the tolerance; ``metrics``: each by ``pytorch``
        and by ``onnxruntime``.

    Raises:
        UserError: an example or a metric differs by more than its tolerance.
    """
    table = pq.read_table(evaluated / "examples.parquet")
    columns = {column: table[column].to_numpy() for column in table.column_names}
    report = {}
    try:
        for one in task.agreements(answers, columns, data):
            report[one.column] = _compare(f"{name}: {one.what}", one.answer, one.reference, one.tolerance)
    except Disagreement as error:
        raise UserError(f"{name}: parity failed: {error}") from None
    return {"examples": report, "metrics": _metrics(name, task, answers, data, evaluated / "metrics.json")}


def _metrics(name: str, task: Comparable, answers: Arrays, data: PreparedData, file: Path) -> dict[str, Any]:
    """Compare every metric that the graph alone can be measured by."""
    measured = json.loads(file.read_text())
    report = {}
    for metric, ours in task.measure(answers, data).metrics.items():
        theirs = measured["metrics"][metric]
        allowed = max(METRIC_SHARE * (theirs["high"] - theirs["low"]), 1 / measured["num_examples"])
        if not abs(ours.value - theirs["value"]) <= allowed:
            raise UserError(
                f"{name}: parity failed: {metric} on the test split is {ours.value:g} by ONNX Runtime and "
                f"{theirs['value']:g} by PyTorch; {allowed:.1g} apart is allowed."
            )
        report[metric] = {"onnxruntime": ours.value, "pytorch": theirs["value"]}
    return report


def _compare(what: str, answer: np.ndarray, reference: np.ndarray, tolerance: Tolerance) -> dict[str, Any]:
    if answer.shape != reference.shape or answer.dtype != reference.dtype:
        raise UserError(
            f"{what}: parity failed: {answer.dtype} {list(answer.shape)} by ONNX Runtime, "
            f"{reference.dtype} {list(reference.shape)} by PyTorch."
        )
    difference, excess = tolerance.compare(answer, reference)
    if not excess <= 1:
        raise UserError(
            f"{what}: parity failed: ONNX Runtime and PyTorch differ by {difference:.3g}, "
            f"{excess:.3g} times what is allowed ({tolerance})."
        )
    return {"difference": difference, "tolerance": tolerance.to_json()}
