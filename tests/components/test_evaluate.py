"""The evaluate stage on real families: what it writes, that it writes the same again, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from components import evaluate
from components.datasets import slices
from components.datasets.slices import Slices
from components.project import layout
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from models import checkpoint
from tests.components import challenge, workspace

GENERATION = {
    "bits_per_dim",
    "classes_covered",
    "filling_error",
    "filling_error_mean_image",
    "filling_error_nearest",
    "frechet_distance",
    "frechet_distance_test",
    "kernel_distance",
    "memorised",
    "precision",
    "recall",
}
TASKS = {
    "shapes-logreg": {"accuracy", "log_loss", "macro_f1", "calibration_error"},
    "shapes-cnn": {"accuracy", "log_loss", "macro_f1", "calibration_error"},
    "shapes-gmm": {
        "bits_per_dim",
        "bayes_accuracy",
        "filling_error",
        "filling_error_mean_image",
        "filling_error_nearest",
    },
    "shapes-vae": GENERATION,
    "shapes-vae-by-class": GENERATION | {"class_agreement", "augmented_accuracy", "augmentation_gain"},
}
GENERATION_PLOTS = {
    "samples.png",
    "coverage.png",
    "reconstructions.png",
    "filled_in.png",
    "interpolation.png",
    "traversal.png",
    "likelihood.png",
    "learning_curves.png",
}
PLOTS = {
    "shapes-logreg": {
        "confusion.png",
        "confusion.csv",
        "mistakes.png",
        "reliability.png",
        "learning_curves.png",
    },
    "shapes-cnn": {
        "confusion.png",
        "confusion.csv",
        "mistakes.png",
        "reliability.png",
        "learning_curves.png",
    },
    "shapes-gmm": {
        "confusion.png",
        "confusion.csv",
        "likelihood.png",
        "least_likely.png",
        "filled_in.png",
        "learning_curves.png",
    },
    "shapes-vae": GENERATION_PLOTS,
    "shapes-vae-by-class": GENERATION_PLOTS,
}


@pytest.mark.parametrize("name", TASKS)
def test_every_metric_has_its_interval_and_direction(measured, name):
    written = json.loads((layout.evaluated(name) / "metrics.json").read_text())
    judged = {"judge"} if written["task"] == "generation" else set()
    assert set(written) == {"task", "primary", "dataset", "num_examples", "metrics", "per_class"} | judged
    assert written["num_examples"] == workspace.SIZES["test"]
    assert set(written["metrics"]) == TASKS[name] and written["primary"] in TASKS[name]
    for metric in written["metrics"].values():
        assert metric["low"] <= metric["value"] <= metric["high"] and metric["better"] in ("higher", "lower")
    headline = json.loads((layout.evaluated(name) / "headline.json").read_text())
    primary = written["primary"]
    assert headline == {"metric": primary, "value": written["metrics"][primary]["value"]}
    assert [row["class"] for row in written["per_class"]] == list(workspace.CLASSES)
    assert sum(row["examples"] for row in written["per_class"]) == written["num_examples"]


@pytest.mark.parametrize("name", TASKS)
def test_examples_are_the_test_split_in_its_order(measured, name):
    table = pq.read_table(layout.evaluated(name) / "examples.parquet")
    test = PreparedData(layout.prepared(workspace.DATASET)).test
    assert table["id"].to_pylist() == test.ids and table["label"].to_pylist() == test.labels.tolist()
    if "predicted" in table.column_names:
        right = table["predicted"].to_numpy() == test.labels
        assert (table["correct"].to_numpy() == right).all()
        metrics = json.loads((layout.evaluated(name) / "metrics.json").read_text())["metrics"]
        accuracy = metrics.get("accuracy") or metrics["bayes_accuracy"]
        assert accuracy["value"] == pytest.approx(right.mean())


def test_likelihoods_of_the_graph_are_those_of_the_family(measured):
    trained = checkpoint.load(layout.trained("shapes-gmm"))
    test = PreparedData(layout.prepared(workspace.DATASET)).test
    exact = trained.family.log_likelihood(trained.model, test.images, 0)
    written = pq.read_table(layout.evaluated("shapes-gmm") / "examples.parquet")["log_likelihood"].to_numpy()
    np.testing.assert_allclose(written, exact, rtol=1e-5, atol=1e-3)


def test_a_conditional_model_is_held_to_the_class_that_it_was_asked_for(measured):
    metrics = json.loads((layout.evaluated("shapes-vae-by-class") / "metrics.json").read_text())["metrics"]
    assert metrics["class_agreement"]["value"] > 0.8
    assert metrics["classes_covered"]["value"] == len(workspace.CLASSES)


@pytest.mark.parametrize("name", PLOTS)
def test_pictures(measured, name):
    assert {file.name for file in (layout.evaluated(name) / "plots").iterdir()} == PLOTS[name]


@pytest.mark.parametrize("name", TASKS)
def test_the_same_bytes_again(measured, name):
    before = _bytes(layout.evaluated(name))
    evaluate.run(name)
    assert _bytes(layout.evaluated(name)) == before


def test_slices_are_measured_and_the_worst_drawn(measured):
    test, folder = PreparedData(layout.prepared(workspace.DATASET)).test, layout.evaluated("shapes-logreg")
    before = json.loads((folder / "metrics.json").read_text())
    members = np.stack([test.labels == 0, np.arange(len(test)) < 100, np.arange(len(test)) < 4], axis=1)
    rules = {"bars": "label is bar", "first": "the first", "few": "too few"}
    slices.write(layout.slices_file(workspace.DATASET), Slices(test.ids, rules, members))
    evaluate.run("shapes-logreg")
    after = json.loads((folder / "metrics.json").read_text())
    found = after.pop("slices")
    assert after == before
    right = pq.read_table(folder / "examples.parquet")["correct"].to_numpy()
    assert (found["metric"], found["better"]) == ("accuracy", "higher")
    by_name = {row["slice"]: row for row in found["rows"]}
    for name, chosen in zip(rules, members.T, strict=True):
        row = by_name[name]
        assert row["value"] == pytest.approx(right[chosen].mean()) and row["examples"] == chosen.sum()
    bars, first, few = (by_name[name] for name in rules)
    assert found["rows"][-1] == few
    assert bars["low"] <= bars["value"] <= bars["high"] and bars["high"] - bars["low"] > 0.01
    assert (few["low"], few["high"], few["slice"], first["rule"]) == (None, None, "few", "the first")
    assert (folder / "plots" / "slices.png").exists()


def test_challenge_sets_are_measured_beside_the_test_split(measured):
    folder = layout.evaluated("shapes-logreg")
    before = json.loads((folder / "metrics.json").read_text())
    right = pq.read_table(folder / "examples.parquet")["correct"].to_numpy()
    sets = {"day": np.arange(40), "night": np.arange(30, 50)}
    challenge.write(sets, {"day": 0, "night": 7})
    evaluate.run("shapes-logreg")
    after = json.loads((folder / "metrics.json").read_text())
    found = after.pop("challenge_sets")
    assert after == before and found["left_out"] == {"day": 0, "night": 7}
    rows = {row["slice"]: row for row in found["rows"]}
    for name, places in sets.items():
        row = rows[name]
        assert row["examples"] == len(places) and row["value"] == pytest.approx(right[places].mean())
        assert row["low"] <= row["value"] <= row["high"] and row["high"] - row["low"] > 0.01
    assert (folder / "plots" / "challenge_sets.png").exists()


def test_other_data_than_trained_on_is_refused(measured):
    folder = layout.prepared(workspace.DATASET)
    spec = json.loads((folder / "spec.json").read_text())
    atomic.write_json(folder / "spec.json", spec | {"sha256": "f" * 64})
    with pytest.raises(
        UserError, match=r"trained on shapes .* holds shapes ffffffffffff\. Run the train stage"
    ):
        evaluate.run("shapes-logreg")


def test_no_checkpoint(measured):
    shutil.rmtree(layout.trained("shapes-logreg"))
    with pytest.raises(UserError, match=r"train: no checkpoint\.json there\. Run the train stage first"):
        evaluate.run("shapes-logreg")


def test_a_diverged_model_is_refused_and_nothing_is_written(measured, monkeypatch):
    trained = checkpoint.load(layout.trained("shapes-logreg"))
    with torch.no_grad():
        next(trained.model.parameters()).fill_(float("nan"))
    monkeypatch.setattr(checkpoint, "load", lambda folder: trained)
    before = _bytes(layout.evaluated("shapes-logreg"))
    with pytest.raises(UserError, match="'probabilities' is not finite on test example 'test-0'"):
        evaluate.run("shapes-logreg")
    assert _bytes(layout.evaluated("shapes-logreg")) == before


def test_command_names_the_nearest_model(measured):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "components.evaluate", "shapes-logrek"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(root), "PATH": ""})
    assert (
        done.returncode == 2
        and "Did you mean 'shapes-logreg'" in done.stderr
        and "Traceback" not in done.stderr
    )


def _bytes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
