"""A model of each task through every stage: trained, measured, exported, registered, decided, shown."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components import report, train
from components.bundles.bundle import Bundle
from components.project import layout
from data.errors import UserError
from tests.components.staged import STAGED, decide
from tests.components.test_read_bundle import _run

LONG = {"text_to_image": pytest.mark.slow}  # minutes: its sampler is traced and drawn from for each version
TASKS = pytest.mark.parametrize(
    "staged", [pytest.param(task, marks=LONG.get(task, ())) for task in STAGED], indirect=True
)


@TASKS
def test_from_training_to_champion_and_no_worse_one_after_it(staged):
    first = decide()
    assert first.verdict == "promoted", first.reasons
    page = report.run().read_text()
    assert [words for words in staged.page if words not in page] == []

    staged.train_and_export(staged.forgets)
    worse = decide()
    assert worse.verdict == "refused"
    (reason,) = [reason for reason in worse.reasons if reason.startswith(staged.refusal[0])]
    assert [words for words in staged.refusal if words not in reason] == []
    if staged.shows:
        differences = worse.evidence["checks"]["comparison"]["evidence"]["differences"]
        held = {row["of"]: row["count"] for row in differences}
        assert held["3"] == staged.shows(staged.data, 3).sum()


@TASKS
def test_what_the_bundle_and_the_measurements_tell(staged):
    described = json.loads((layout.bundle("m") / "bundle.json").read_text())
    assert [(tensor["name"], tensor["shape"]) for tensor in described["inputs"]] == staged.inputs
    outputs = [(tensor["name"], tensor["dtype"], tensor["shape"]) for tensor in described["outputs"]]
    assert outputs == staged.outputs
    computed = {name for name, dtype, _ in outputs if dtype != "string"}
    batches = described["parity"]["batches"]
    assert {batch: set(found) for batch, found in batches.items()} == dict.fromkeys("127", computed)
    assert set(described["parity"]["examples"]) == staged.examples
    for metric in described["metrics"].values():
        assert metric["low"] <= metric["value"] <= metric["high"]
    if staged.mean:
        column, metric = staged.mean
        table = pq.read_table(layout.evaluated("m") / "examples.parquet").to_pandas()
        assert table[column].mean() == pytest.approx(described["metrics"][metric]["value"])
    plots = {file.name for file in (layout.evaluated("m") / "plots").iterdir()}
    assert plots >= staged.plots


@TASKS
def test_a_family_of_another_task_is_refused_before_it_trains(staged):
    told = r"models.c.dataset: .* is data for \w+, and the model's task is classification"
    with pytest.raises(UserError, match=told):
        train.run("c")
    assert not layout.trained("c").exists()


@pytest.mark.slow
@pytest.mark.parametrize("staged", ["text_to_image"], indirect=True)
def test_the_example_script_draws_what_a_prompt_says(staged):
    bundle = layout.bundle("m")
    told = _run(bundle, "grid.png", "--prompt", "Red, two!", "--seed", "3", "--count", "2")
    assert told == "2 images of 'red two' in grid.png\n"
    request = {"prompt": np.array(["red two"] * 2, dtype=object), "seed": np.array([3])}
    height, width, _ = staged.data.spec.shape
    sheet = np.asarray(Image.open("grid.png"))
    for k, image in enumerate(Bundle.open(bundle).predict(request)["image"]):
        left = k * (6 * width + 4) + 2
        cell = sheet[2 : 2 + 6 * height : 6, left : left + 6 * width : 6]
        np.testing.assert_array_equal(cell, image)
