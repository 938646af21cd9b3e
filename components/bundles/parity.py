"""Parity: the exported graph gives the answers that PyTorch gives, or nothing is exported.

Tensors are compared on real validation images at several batch sizes, because a graph can freeze the batch it
was exported with. The test split's answers are compared one by one with ``examples.parquet``, and their
metrics with ``metrics.json``: whatever the evaluate stage measured is what the graph does.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from components.bundles.signature import Arrays, Predict, Tolerance
from data.errors import UserError
from data.prepared import PreparedData

BATCHES = (1, 2, 7)

MASK_SHARE = 0.01
"""Share of an image's pixels whose class may be another one, where two are as likely as each other."""

METRIC_SHARE = 0.1
"""Metrics agree when they differ by at most this share of their 95 % interval's width (or by one example)."""


def tensors(
    name: str, task: ModuleType, onnx: Predict, pytorch: Predict, data: PreparedData
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
    name: str, task: ModuleType, answers: Arrays, data: PreparedData, evaluated: Path
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
    if "probabilities" in answers:
        tolerance = task.TOLERANCES["probabilities"]
        # The class may differ only where it is a toss-up: two probabilities, each off by the tolerance at
        # most.
        gap = label_gap(answers["probabilities"], columns["predicted"])
        toss_up = Tolerance(2 * tolerance.absolute)
        report["predicted"] = _compare(f"{name}: the predicted class", gap, np.zeros_like(gap), toss_up)
        confidence = answers["probabilities"].max(axis=1)
        report["confidence"] = _compare(
            f"{name}: the confidence", confidence, columns["confidence"], tolerance
        )
    if "log_likelihood" in answers:
        tolerance = task.TOLERANCES["log_likelihood"]
        report["log_likelihood"] = _compare(
            f"{name}: 'log_likelihood'", answers["log_likelihood"], columns["log_likelihood"], tolerance
        )
    if "symbols" in answers:
        # Where two symbols are as good as equally likely, all that follows may differ.
        read = task.rows(answers, data)["predicted"]
        same = read == columns["predicted"]
        allowed = max(1, int(task.DIVERGED * len(same)))
        if (~same).sum() > allowed:
            first = int(np.flatnonzero(~same)[0])
            raise UserError(
                f"{name}: parity failed: {(~same).sum()} of {len(same)} test lines are read otherwise by ONNX Runtime, "
                f"the first as {str(read[first])!r} where PyTorch reads {columns['predicted'][first]!r}; "
                f"{allowed} may be."
            )
        tolerance = task.TOLERANCES["confidence"]
        report["confidence"] = _compare(
            f"{name}: the confidence", answers["confidence"][same], columns["confidence"][same], tolerance
        )
    if "caption" in columns:
        differ = task.rows(answers, data)["predicted"] != columns["predicted"]
        tolerance = Tolerance(max(task.DIVERGED, 1 / len(differ)))
        report["predicted"] = _compare(
            f"{name}: images of which another class is seen",
            differ.mean(keepdims=True),
            np.zeros(1),
            tolerance,
        )
    if "scores" in answers:
        top, tolerance = answers["scores"].max(axis=1), task.TOLERANCES["scores"]
        report["confidence"] = _compare(f"{name}: the top score", top, columns["confidence"], tolerance)
    if "mask" in answers:
        tolerance = Tolerance(MASK_SHARE)
        shares = task.scores(answers, data)
        report["pixel_accuracy"] = _compare(
            f"{name}: right pixels", shares, columns["pixel_accuracy"], tolerance
        )
    if "l1" in columns:
        # Each pixel's difference is within the tolerance: so is their mean, which is on [0, 1].
        (of_pixels,) = task.TOLERANCES.values()
        tolerance = Tolerance(of_pixels.absolute / 255)
        report["l1"] = _compare(f"{name}: the error", task.scores(answers, data), columns["l1"], tolerance)
    return {"examples": report, "metrics": _metrics(name, task, answers, data, evaluated / "metrics.json")}


def _metrics(name: str, task: ModuleType, answers: Arrays, data: PreparedData, file: Path) -> dict[str, Any]:
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


def label_gap(probabilities: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return [N]: how far below the highest probability that of the ``predicted`` class lies."""
    return probabilities.max(axis=1) - probabilities[np.arange(len(predicted)), predicted]


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
