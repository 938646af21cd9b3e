"""A detector through every stage, as any other model: trained, measured, exported, registered, decided, shown."""

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
from data.prepared import PreparedData
from tests.components.test_read_bundle import _run
from tests.models import tiny

DATASET = "digit_scenes"
SMALL = {"backbone": [16, 32], "width": 32, "hidden": 64, "decoder_depth": 1, "batch_size": 16, "epochs": 1}


def write_params(**settings) -> None:
    model = {"family": "detr", "dataset": DATASET, "overrides": SMALL | settings}
    params = {
        "datasets": {DATASET: "artifacts/data/digits/prepared"},
        "models": {"m": model},
        "gate": {"m": {"thresholds": {"ap50": {"at_least": 0.02}}, "max_latency_ms": 1000}},
    }
    atomic.write_text(Path("params.yaml"), yaml.safe_dump(params))


@pytest.fixture
def scenes(sqlite_project) -> PreparedData:
    """Scenes of digits as the data of the workspace."""
    atomic.write_text(Path("models/detr/__init__.py"), "")
    source = Path(__file__).parents[2] / layout.dataset_file(DATASET)
    atomic.write_text(layout.dataset_file(DATASET), source.read_text())
    atomic.write_bytes(layout.ingested(DATASET) / "manifest.parquet", b"a manifest")
    found = manifest.fingerprint(layout.ingested(DATASET))
    verdict = {"success": True, "manifest": found, "suite": "5" * 64, "expectations": []}
    atomic.write_json(layout.validation_file(DATASET), verdict)
    write_params(least_steps=400, learning_rate=4e-3)
    return tiny.prepare_scenes(layout.prepared(DATASET))


def decide() -> gate.Decision:
    train.run("m")
    evaluate.run("m")
    export.run("m")
    register.run("m")
    return gate.run("m")


def test_from_training_to_champion_and_no_worse_one_after_it(scenes):
    first = decide()
    assert first.verdict == "promoted", first.reasons
    described = json.loads((layout.bundle("m") / "bundle.json").read_text())
    assert [(tensor["name"], tensor["shape"]) for tensor in described["inputs"]] == [
        ("image", [-1, 32, 32, 1]),
        ("size", [-1, 2]),
    ]
    assert [tensor["shape"] for tensor in described["outputs"]] == [[-1, -1, 4], [-1, -1], [-1, -1]]
    assert set(described["parity"]["batches"]) == {"1", "2", "7"}
    assert set(described["parity"]["examples"]) == {"confidence"}
    assert described["primary"] == "ap" and set(described["metrics"]) >= {
        "ap50",
        "ap75",
        "recall",
        "ap_large",
    }
    for metric in described["metrics"].values():
        assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
    table = pq.read_table(layout.evaluated("m") / "examples.parquet").to_pandas()
    assert table["objects"].sum() == (scenes.test.box_labels >= 0).sum() and table["objects"][0] == 0
    assert (table["found"] <= table["objects"]).all()
    plots = {file.name for file in (layout.evaluated("m") / "plots").iterdir()}
    assert plots >= {"detections.png", "mistakes.png", "precision_recall.png", "query_attention.png"}

    _check_reader(scenes)
    page = report.run().read_text()
    assert "Where queries look" in page and "Precision over recall" in page

    write_params(least_steps=2, learning_rate=1e-6)
    worse = decide()
    assert worse.verdict == "refused"
    (overall,) = [reason for reason in worse.reasons if reason.startswith("comparison: ap: ")]
    assert "worse than the champion" in overall and "n = 24" in overall
    differences = worse.evidence["blessings"]["comparison"]["evidence"]["differences"]
    held = {row["of"]: row["count"] for row in differences}
    assert held["all"] == 24 and held["3"] == (scenes.test.box_labels == 3).any(axis=1).sum()


def _check_reader(scenes: PreparedData) -> None:
    """A reader of the bundle gets boxes in the pixels of its picture, which is larger than the graph's and wider."""
    image = scenes.test.images[3]
    Image.fromarray(np.kron(image[:, :, 0], np.ones((3, 4), np.uint8))).save("wide.png")
    bundle = Bundle.open(layout.bundle("m"))
    given = {"image": bundle.prepare_image(Image.open("wide.png")), "size": np.array([[96, 128]])}
    assert given["image"].shape == (1, 32, 32, 1)
    answers = {name: values[0] for name, values in bundle.predict(given).items()}
    assert answers["boxes"][:, [1, 3]].max() <= 96 < answers["boxes"].max() <= 128
    sure = [q for q in np.argsort(-answers["scores"]) if answers["scores"][q] >= 0.5]
    expected = [
        f"{bundle.description['classes'][answers['labels'][q]]}  {answers['scores'][q]:.3f}  "
        + " ".join(f"{value:.1f}" for value in answers["boxes"][q])
        for q in sure
    ]
    assert _run(layout.bundle("m"), "wide.png").splitlines() == expected
