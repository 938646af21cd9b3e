"""A translator through every stage, as any other model: trained, measured, exported, registered, decided, shown."""

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

DATASET = "outlines"
DIGITS = {"family": "pix2pix", "dataset": DATASET}


def write_params(**settings) -> None:
    overrides = {"widths": [8, 16], "patch_width": 8, "epochs": 2, "least_steps": 60, **settings}
    bounds = {"error_ratio": {"at_most": 0.8}}
    params = {
        "datasets": {DATASET: "artifacts/data/digits/prepared"},
        "models": {"m": DIGITS | {"overrides": overrides}, "c": {"family": "logreg", "dataset": DATASET}},
        "gate": {"m": {"thresholds": bounds, "max_latency_ms": 1000}},
    }
    atomic.write_text(Path("params.yaml"), yaml.safe_dump(params))


@pytest.fixture
def outlines(sqlite_project) -> PreparedData:
    """Digits with their edge maps as the data of the workspace."""
    atomic.write_text(Path("models/pix2pix/__init__.py"), "")
    atomic.write_text(
        layout.dataset_file(DATASET),
        "source: derived\nfrom: digits\nrecipe: edges\nimage: {height: 8, width: 8, channels: 1}\ninput_channels: 1\n",
    )
    atomic.write_bytes(layout.ingested(DATASET) / "manifest.parquet", b"a manifest")
    found = manifest.fingerprint(layout.ingested(DATASET))
    verdict = {"success": True, "manifest": found, "suite": "5" * 64, "expectations": []}
    atomic.write_json(layout.validation_file(DATASET), verdict)
    write_params()
    return tiny.prepare(layout.prepared(DATASET), task="translation")


def decide() -> gate.Decision:
    train.run("m")
    evaluate.run("m")
    export.run("m")
    register.run("m")
    return gate.run("m")


def test_from_training_to_champion_and_no_worse_one_after_it(outlines):
    first = decide()
    assert first.verdict == "promoted", first.reasons
    described = json.loads((layout.bundle("m") / "bundle.json").read_text())
    assert [(tensor["name"], tensor["shape"]) for tensor in described["inputs"]] == [("image", [-1, 8, 8, 1])]
    assert [tensor["name"] for tensor in described["outputs"]] == ["translated"]
    assert set(described["parity"]["batches"]) == {"1", "2", "7"} and set(
        described["parity"]["examples"]
    ) == {"l1"}
    table = pq.read_table(layout.evaluated("m") / "examples.parquet").to_pandas()
    assert table["l1"].mean() == pytest.approx(described["metrics"]["l1"]["value"])

    page = report.run().read_text()
    assert "Worst translations" in page and "error ratio" in page

    made = Bundle.open(layout.bundle("m")).predict({"image": outlines.test.inputs[:1]})["translated"][0]
    Image.fromarray(outlines.test.inputs[0, :, :, 0]).save("edges.png")
    _run(layout.bundle("m"), "edges.png", "--output", "made.png")
    np.testing.assert_array_equal(np.asarray(Image.open("made.png")), made[:, :, 0])

    write_params(learning_rate=1e-6)
    worse = decide()
    assert worse.verdict == "refused"
    (overall,) = [reason for reason in worse.reasons if reason.startswith("comparison: l1: worse")]
    assert "n = 80" in overall


def test_a_family_of_another_task_is_refused_before_it_trains(outlines):
    told = (
        r"params.yaml: models.c.dataset: .* is data for translation, and the model's task is classification"
    )
    with pytest.raises(UserError, match=told):
        train.run("c")
    assert not layout.trained("c").exists()
