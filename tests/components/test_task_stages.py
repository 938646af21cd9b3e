"""A model of each task through every stage: trained, measured, exported, registered, decided, shown."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from components import layout, report, train
from data.errors import UserError
from tests.components.staged import STAGED, decide

TASKS = pytest.mark.parametrize("staged", STAGED, indirect=True)


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
        differences = worse.evidence["blessings"]["comparison"]["evidence"]["differences"]
        held = {row["of"]: row["count"] for row in differences}
        assert held["3"] == staged.shows(staged.data, 3).sum()


@TASKS
def test_what_the_bundle_and_the_measurements_tell(staged):
    described = json.loads((layout.bundle("m") / "bundle.json").read_text())
    assert [(tensor["name"], tensor["shape"]) for tensor in described["inputs"]] == staged.inputs
    outputs = [(tensor["name"], tensor["dtype"], tensor["shape"]) for tensor in described["outputs"]]
    assert outputs == staged.outputs
    assert set(described["parity"]["batches"]) == {"1", "2", "7"}
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
