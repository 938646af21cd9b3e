"""The labels stage on a folder of images some of which are mislabelled: what it writes, and the bound of suite.yaml."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from components import ingest, labels, prepare
from components.datasets import add, manifest
from components.judging import network
from components.project import layout
from data import atomic
from data.errors import UserError
from tests.photo_folder import encode, project, write

WRONG = ("dark/07.png", "bright/21.png")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Return a project whose data set ``mine`` has dark and bright pictures, two of them in the other's folder."""
    root, random = tmp_path_factory.mktemp("labels"), np.random.default_rng(0)
    for name, other in (("dark", "bright"), ("bright", "dark")):
        for number in range(40):
            really = other if f"{name}/{number:02d}.png" in WRONG else name
            centre = 60 if really == "dark" else 190
            pixels = np.clip(random.normal(centre, 25, (8, 8)), 0, 255).astype(np.uint8)
            write(root / f"photos/{name}/{number:02d}.png", encode(Image.fromarray(pixels)))
    write(root / "photos/bright/twin.png", (root / "photos/dark/00.png").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project(root / "project"))
        recipe = network.RECIPE.model_copy(update={"epochs": 1, "least_steps": 150, "batch_size": 16})
        patch.setattr(network, "RECIPE", recipe)
        add.add(root / "photos", "mine", 8, {})
        params = yaml.safe_load(Path("params.yaml").read_text())
        atomic.write_text(
            Path("params.yaml"), yaml.safe_dump(params | {"label_errors": {"mine": {"folds": 4}}})
        )
        atomic.write_text(layout.suite_file("mine"), "general: {label_errors: 0.5}\n")
        verdict = {"success": True, "manifest": manifest.fingerprint(ingest.run("mine"))}
        atomic.write_json(layout.validation_file("mine"), verdict)
        prepare.run("mine")
        labels.run("mine")
    return root / "project"


@pytest.fixture
def here(written, monkeypatch) -> Path:
    monkeypatch.chdir(written)
    return layout.label_errors("mine")


def test_wrong_labels_are_the_first_of_all_examples(here):
    with (here / "label_errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 81 and {"train", "validation", "test"} == {row["split"] for row in rows}
    # The twin carries one of two labels, and so is in the wrong folder as well.
    assert {row["id"] for row in rows[:3]} == {*WRONG, "bright/twin.png"}
    likely = [row["likely"] for row in rows]
    assert likely == sorted(likely, reverse=True) and likely[0] == "1"
    for row in rows[:3]:
        assert {row["label"], row["suggested"]} == {"dark", "bright"}
        assert float(row["probability"]) < float(row["suggested_probability"])


def test_the_summary_and_the_page_tell_what_was_found(here):
    summary = json.loads((here / "summary.json").read_text())
    assert summary["examples"] == 81 and 1 <= summary["likely"] < 10 and summary["conflicts"] == 1
    assert summary["share"] == summary["likely"] / 81 and summary["success"]
    assert summary["pairs"] and {pair["label"] for pair in summary["pairs"]} <= {"dark", "bright"}
    assert (here / "conflicts.csv").read_text().splitlines()[1] == "bright/twin.png,dark/00.png,0,True"
    page = (here / "index.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == labels.SHOWN_ANYWAY + 2
    assert all(name in page for name in (*WRONG, "bright/twin.png"))
    assert "the same bytes" in page and "<script" not in page


def test_a_share_above_the_bound_fails_and_all_is_written(here, monkeypatch):
    probabilities = np.tile([[0.99, 0.01], [0.01, 0.99]], (41, 1))[:81]
    monkeypatch.setattr(labels.out_of_fold, "predict", lambda *_: probabilities)
    before = (here / "index.html").read_bytes()
    with pytest.raises(UserError, match=r"mine: .*likely wrong, .*suite\.yaml: general\.label_errors"):
        atomic.write_text(layout.suite_file("mine"), "general: {label_errors: 0.05}\n")
        labels.run("mine")
    assert (here / "index.html").read_bytes() != before
    assert not json.loads((here / "summary.json").read_text())["success"]


def test_labels_that_are_no_classes_are_refused(here, monkeypatch):
    spec = json.loads((layout.prepared("mine") / "spec.json").read_text())
    atomic.write_json(layout.prepared("mine") / "spec.json", spec | {"classes": ["dark"]})
    with pytest.raises(UserError, match=r"label_errors\.mine: .* no classes"):
        labels.run("mine")
