"""A segmenter through every stage, as any other model: trained, measured, exported, registered, decided, shown."""

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

DATASET = "digit_scenes"
SMALL = {"stem": [16, 32], "width": 32, "hidden": 64, "depth": 1, "grid": 8, "batch_size": 16, "epochs": 1}


def write_params(**settings) -> None:
    model = {"family": "segmenter", "dataset": DATASET, "overrides": SMALL | settings}
    params = {
        "datasets": {DATASET: "artifacts/data/digits/prepared"},
        "models": {"m": model},
        "gate": {"m": {"thresholds": {"mean_iou": {"at_least": 0.05}}, "max_latency_ms": 1000}},
    }
    atomic.write_text(Path("params.yaml"), yaml.safe_dump(params))


@pytest.fixture
def scenes(sqlite_project) -> PreparedData:
    """Scenes of digits as the data of the workspace."""
    atomic.write_text(Path("models/segmenter/__init__.py"), "")
    source = Path(__file__).parents[2] / layout.dataset_file(DATASET)
    atomic.write_text(layout.dataset_file(DATASET), source.read_text())
    atomic.write_bytes(layout.ingested(DATASET) / "manifest.parquet", b"a manifest")
    found = manifest.fingerprint(layout.ingested(DATASET))
    verdict = {"success": True, "manifest": found, "suite": "5" * 64, "expectations": []}
    atomic.write_json(layout.validation_file(DATASET), verdict)
    write_params(least_steps=150, learning_rate=5e-3)
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
    assert described["outputs"] == [{"name": "mask", "dtype": "uint8", "shape": [-1, 32, 32]}]
    assert set(described["parity"]["batches"]) == {"1", "2", "7"}
    assert set(described["parity"]["examples"]) == {"pixel_accuracy"}
    assert described["golden"]["tolerances"]["mask"]["exceptions"] > 0
    assert described["primary"] == "mean_iou"
    for metric in described["metrics"].values():
        assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
    table = pq.read_table(layout.evaluated("m") / "examples.parquet").to_pandas()
    assert table["pixel_accuracy"].mean() == pytest.approx(described["metrics"]["pixel_accuracy"]["value"])
    assert (table["label"] == -1).all()
    plots = {file.name for file in (layout.evaluated("m") / "plots").iterdir()}
    assert plots >= {"masks.png", "mistakes.png", "learning_curves.png"}
    assert "Masks on test images" in report.run().read_text()

    write_params(least_steps=2, learning_rate=1e-6)
    worse = decide()
    assert worse.verdict == "refused"
    (overall,) = [reason for reason in worse.reasons if reason.startswith("comparison: mean_iou: ")]
    assert "worse than the champion" in overall and "n = 24" in overall
    differences = worse.evidence["blessings"]["comparison"]["evidence"]["differences"]
    held = {row["of"]: row["count"] for row in differences}
    assert held["3"] == (scenes.test.box_labels == 3).any(axis=1).sum()


def test_a_reader_gets_a_mask_of_the_size_of_its_picture(scenes):
    train.run("m")
    evaluate.run("m")
    export.run("m")
    Image.fromarray(scenes.test.images[3, :, :, 0]).resize((48, 64)).save("wide.png")
    bundle = Bundle.open(layout.bundle("m"))
    (mask,) = bundle.predict({"image": bundle.prepare_image(Image.open("wide.png"))})["mask"]
    printed = _run(layout.bundle("m"), "wide.png", "--output", "mask.png").splitlines()
    written = Image.open("mask.png")
    assert written.mode == "P" and written.size == (48, 64)
    expected = Image.fromarray(mask).resize((48, 64), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(np.asarray(written), np.asarray(expected))
    assert len(written.convert("RGB").getcolors()) == len(np.unique(mask))
    assert [int(line.split()[0]) for line in printed] == np.unique(mask).tolist()


def test_data_without_masks_is_refused_before_training(scenes):
    spec = layout.prepared(DATASET) / "spec.json"
    atomic.write_json(spec, json.loads(spec.read_text()) | {"has_masks": False})
    with pytest.raises(UserError, match=r"models.m.dataset: 'digit_scenes' has boxes and no masks"):
        train.run("m")
