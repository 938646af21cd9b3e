"""A transcriber through every stage, as any other model: trained, measured, exported, registered, decided, shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from components import evaluate, export, gate, layout, manifest, register, report, train
from components.bundle import Bundle
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from tests.components.test_read_bundle import _run
from tests.models import tiny

DATASET = "digit_lines"


def write_params(**settings) -> None:
    overrides = {
        "channels": [8, 8, 16],
        "epochs": 2,
        "least_steps": 120,
        "batch_size": 32,
        "beams": 2,
        **settings,
    }
    params = {
        "datasets": {DATASET: "artifacts/data/digits/prepared"},
        "models": {
            "m": {"family": "transformer", "dataset": DATASET, "overrides": overrides},
            "c": {"family": "logreg", "dataset": DATASET},
        },
        "gate": {"m": {"thresholds": {"character_error_rate": {"at_most": 0.95}}, "max_latency_ms": 1000}},
    }
    atomic.write_text(Path("params.yaml"), yaml.safe_dump(params))


@pytest.fixture
def lines(sqlite_project) -> PreparedData:
    """Lines of digits as the data of the workspace."""
    atomic.write_text(Path("models/transformer/__init__.py"), "")
    source = Path(__file__).parents[2] / "data/digit_lines/dataset.yaml"
    atomic.write_text(layout.dataset_file(DATASET), source.read_text())
    atomic.write_bytes(layout.ingested(DATASET) / "manifest.parquet", b"a manifest")
    found = manifest.fingerprint(layout.ingested(DATASET))
    verdict = {"success": True, "manifest": found, "suite": "5" * 64, "expectations": []}
    atomic.write_json(layout.validation_file(DATASET), verdict)
    write_params()
    return tiny.prepare_lines(layout.prepared(DATASET))


def decide() -> gate.Decision:
    train.run("m")
    evaluate.run("m")
    export.run("m")
    register.run("m")
    return gate.run("m")


def test_from_training_to_champion_and_no_worse_one_after_it(lines):
    first = decide()
    assert first.verdict == "promoted", first.reasons
    described = json.loads((layout.bundle("m") / "bundle.json").read_text())
    assert [(tensor["name"], tensor["shape"]) for tensor in described["inputs"]] == [
        ("image", [-1, 10, 44, 1])
    ]
    assert [(tensor["name"], tensor["dtype"], tensor["shape"]) for tensor in described["outputs"]] == [
        ("symbols", "int64", [-1, 4]),
        ("confidence", "float32", [-1]),
        ("text", "string", [-1]),
    ]
    assert (described["symbols"], described["separator"]) == ([*"0123456789"], "")
    assert "TYPE_STRING" in (layout.bundle("m") / "config.pbtxt").read_text()
    assert set(described["parity"]["batches"]) == {"1", "2", "7"}
    table = pq.read_table(layout.evaluated("m") / "examples.parquet").to_pandas()
    assert table["correct"].mean() == pytest.approx(described["metrics"]["exact_match"]["value"])

    bundle = Bundle.open(layout.bundle("m"))
    answers = bundle.predict({"image": np.asarray(lines.test.images[:9])})
    assert answers["text"].tolist() == table["predicted"][:9].tolist()

    page = report.run().read_text()
    assert "Substitutions" in page and "By length" in page and "character error rate" in page

    Image.fromarray(lines.test.images[0, :, :, 0]).save("line.png")
    assert _run(layout.bundle("m"), "line.png") == f"{answers['text'][0]}  {answers['confidence'][0]:.3f}\n"

    write_params(learning_rate=1e-6)
    worse = decide()
    assert worse.verdict == "refused"
    assert any(reason.startswith("thresholds: character_error_rate") for reason in worse.reasons)


def test_a_graph_that_reads_otherwise_is_not_exported(lines):
    train.run("m")
    evaluate.run("m")
    file = layout.evaluated("m") / "examples.parquet"
    table = pq.read_table(file).to_pandas()
    table["predicted"] = "x"
    table.to_parquet(file)
    with pytest.raises(
        UserError, match=r"80 of 80 test lines are read otherwise by ONNX Runtime, .* as '\d+'"
    ):
        export.run("m")
    assert not layout.bundle("m").exists()


def test_a_family_of_another_task_is_refused_before_it_trains(lines):
    told = r"models.c.dataset: .* is data for transcription, and the model's task is classification"
    with pytest.raises(UserError, match=told):
        train.run("c")
