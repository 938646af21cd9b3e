"""Parity: what agrees passes and is told; whatever disagrees is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from components import tasks
from components.bundles import parity
from components.bundles.bundle import Bundle
from components.project import layout
from components.tasks import classification
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from tests.components import workspace


@pytest.fixture
def exact(bare_project):
    """Prepared data and a predictor that stands for PyTorch."""
    workspace.export("m")
    data = PreparedData(layout.prepared(workspace.DATASET))
    return data, Bundle.open(layout.bundle("m")).predict


def test_tensors_that_agree(exact):
    data, pytorch = exact

    def close(inputs):
        return {"probabilities": pytorch(inputs)["probabilities"] + np.float32(5e-5)}

    report = parity.tensors("m", classification, close, pytorch, data)
    assert list(report) == ["1", "2", "7"]
    for batch in report.values():
        assert 4e-5 < batch["probabilities"]["difference"] < 6e-5
        assert batch["probabilities"]["tolerance"] == {"absolute": 1e-4, "relative": 0.0}


def test_the_output_the_batch_and_the_difference_are_named(exact):
    data, pytorch = exact

    def wrong_from_seven_on(inputs):
        answers = pytorch(inputs)["probabilities"].copy()
        answers[6:] += np.float32(0.25)
        return {"probabilities": answers}

    with pytest.raises(UserError, match=r"m: 'probabilities' at batch 7: parity failed: .* differ by 0\.25"):
        parity.tensors("m", classification, wrong_from_seven_on, pytorch, data)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda p: p[:1],
            r"at batch 2: parity failed: float32 \[1, 3\] by ONNX Runtime, float32 \[2, 3\] by PyTorch",
        ),
        (lambda p: p.astype(np.float64), r"at batch 1: parity failed: float64"),
        (lambda p: p * np.float32(np.nan), r"at batch 1: parity failed: .* differ by nan"),
    ],
    ids=["frozen batch", "dtype", "nan"],
)
def test_shapes_dtypes_and_nan(exact, spoil, told):
    data, pytorch = exact
    with pytest.raises(UserError, match=told):
        parity.tensors(
            "m",
            classification,
            lambda i: {"probabilities": spoil(pytorch(i)["probabilities"])},
            pytorch,
            data,
        )


def test_examples_and_metrics_that_agree(measured):
    data = PreparedData(layout.prepared(workspace.DATASET))
    answers = classification.answer(Bundle.open(layout.bundle("shapes-cnn")).predict, data)
    report = parity.examples("m", classification, answers, data, layout.evaluated("shapes-cnn"))
    assert set(report["examples"]) == {"predicted", "confidence"}
    assert set(report["metrics"]) == {"accuracy", "log_loss", "macro_f1", "calibration_error"}


def test_one_other_class_is_found(measured):
    data = PreparedData(layout.prepared(workspace.DATASET))
    answers = classification.answer(Bundle.open(layout.bundle("shapes-cnn")).predict, data)
    # The two most likely classes change places: the confidence stays, the class does not.
    row = answers["probabilities"][17]
    first, second = np.argsort(-row)[:2]
    row[[first, second]] = row[[second, first]]
    with pytest.raises(UserError, match="m: the predicted class: parity failed"):
        parity.examples("m", classification, answers, data, layout.evaluated("shapes-cnn"))


def test_a_toss_up_may_fall_either_way(measured):
    data = PreparedData(layout.prepared(workspace.DATASET))
    answers = classification.answer(Bundle.open(layout.bundle("shapes-cnn")).predict, data)
    probabilities = answers["probabilities"]
    predicted = probabilities.argmax(axis=1)
    # Of the narrowest decision make a narrower one, and let PyTorch have decided otherwise.
    ranked = np.argsort(-probabilities, axis=1)
    gap = np.take_along_axis(probabilities, ranked[:, :1], 1) - np.take_along_axis(
        probabilities, ranked[:, 1:2], 1
    )
    narrowest = int(gap.argmin())
    first, second = ranked[narrowest, :2]
    probabilities[narrowest, first] = probabilities[narrowest, second] + np.float32(1e-5)
    predicted[narrowest] = second
    _write_examples(measured, predicted, probabilities.max(axis=1))
    report = parity.examples("m", classification, answers, data, layout.evaluated("shapes-cnn"))
    assert report["examples"]["predicted"]["difference"] == pytest.approx(1e-5, rel=0.1)


def test_a_metric_that_moved_is_found(measured):
    data = PreparedData(layout.prepared(workspace.DATASET))
    task = tasks.of("generation")
    answers = task.answer(Bundle.open(layout.bundle("shapes-vae")).predict, data)
    file = layout.evaluated("shapes-vae") / "metrics.json"
    values = json.loads(file.read_text())
    values["metrics"]["classes_covered"]["value"] += 1
    atomic.write_json(file, values)
    with pytest.raises(UserError, match="m: parity failed: classes_covered on the test split is"):
        parity.examples("m", task, answers, data, layout.evaluated("shapes-vae"))


def _write_examples(root, predicted, confidence) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = layout.evaluated("shapes-cnn") / "examples.parquet"
    table = pq.read_table(file)
    for name, values in {"predicted": predicted, "confidence": confidence}.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, file)
