"""What the gate finds of slices: shown harm and missed bounds, and nothing else, speak against a candidate."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from components.datasets import slices
from components.datasets.slices import Slices
from components.metrics.paired import Scores
from components.project import layout
from components.project.sections import GatePolicy
from components.promotion import by_slice
from components.promotion.checks import Check
from components.promotion.comparison import Scored

IDS = [str(number) for number in range(200)]
DARK, SMALL, FEW = (np.arange(200) < 50, np.arange(200) % 2 == 0, np.arange(200) < 3)
PRESENT = SimpleNamespace(spec=SimpleNamespace(name="d"), test=SimpleNamespace(ids=IDS))


@pytest.fixture(autouse=True)
def _slices(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rules = {"dark": "brightness at most 0.2", "size=small": "size is small", "few": "width below 3"}
    slices.write(layout.slices_file("d"), Slices(IDS, rules, np.stack([DARK, SMALL, FEW], axis=1)))


def look(
    candidate: np.ndarray, champion: np.ndarray | None = None, task: str = "classification", **policy: object
) -> Check | None:
    """Return what is found of a candidate with these scores of the examples, against a champion with those."""
    bundle = SimpleNamespace(description={"task": task, "inputs": []})
    sides = [[Scores("accuracy", "higher", scores.astype(float))] for scores in (candidate, champion)]
    return by_slice.check("m", bundle, Scored(IDS, *sides), PRESENT, GatePolicy(**policy))


RIGHT = np.ones(200)
BAD_IN_THE_DARK = np.where(DARK & (np.arange(200) % 2 == 0), 0.0, 1.0)


def test_harm_in_one_slice_refuses_what_is_better_elsewhere():
    better_elsewhere = np.where(DARK, 1.0, 0.0)
    found = look(BAD_IN_THE_DARK, better_elsewhere)
    (told,) = found.bad
    assert not found.holds and found.waivable
    assert told.startswith(
        "accuracy on slice 'dark' (brightness at most 0.2): worse than the champion: -0.5000"
    )
    assert "n = 50; must reach -0.1" in told
    rows = {row["slice"]: row for row in json.loads(json.dumps(found.evidence))["slices"]}
    assert not rows["dark"]["holds"] and rows["size=small"]["holds"]
    assert rows["dark"]["difference"]["high"] < -0.1 < rows["size=small"]["difference"]["high"]


def test_what_is_not_shown_is_no_harm():
    a_bit_worse = np.where(np.arange(200) < 8, 0.0, 1.0)
    found = look(a_bit_worse, RIGHT)
    assert found.holds and found.good[0].startswith("none of 2 slices")
    assert "few (3)" in found.good[1]


def test_margins_are_the_slice_s_own_its_name_s_or_all_slices():
    assert look(BAD_IN_THE_DARK, RIGHT, slice_margin=0.7).holds
    assert look(BAD_IN_THE_DARK, RIGHT, slices={"dark": {"margin": 0.7}}, slice_margin=0.6).holds
    assert not look(BAD_IN_THE_DARK, RIGHT, slices={"dark": {"margin": 0.05}}, slice_margin=1).holds
    of_small = [
        row["margin"]
        for row in look(RIGHT, RIGHT, slices={"size": {"margin": 0.02}}).evidence["slices"]
        if row["slice"] == "size=small"
    ]
    assert of_small == [0.02]


def test_a_bound_fails_where_the_whole_interval_is_beyond_it():
    half = {"dark": {"at_least": 0.52}}
    assert look(BAD_IN_THE_DARK, BAD_IN_THE_DARK, slices=half).holds  # .50 of 50 is not shown to be below .52
    missed = look(BAD_IN_THE_DARK, BAD_IN_THE_DARK, slices={"dark": {"at_least": 0.9}})
    assert "must reach at least 0.9" in missed.bad[0]
    assert "must reach at most 0.1" in look(RIGHT, RIGHT, slices={"dark": {"at_most": 0.1}}).bad[0]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("drak", "params.yaml: gate.m.slices.drak: .*'dark'"),
        ("few", "gate.m.slices: .*'few'.* 3 examples"),
    ],
)
def test_what_is_asked_and_cannot_be_looked_at_is_refused(asked, told):
    (reason,) = look(RIGHT, RIGHT, slices={asked: {"margin": 0.1}}).bad
    assert re.search(told, reason)


def test_without_slices_there_is_no_check():
    layout.slices_file("d").unlink()
    assert look(RIGHT, RIGHT) is None
    assert not look(RIGHT, RIGHT, slices={"dark": {"margin": 0.1}}).holds


def test_samples_are_in_no_slice():
    assert look(RIGHT, RIGHT, task="generation") is None
    assert not look(RIGHT, RIGHT, task="generation", slices={"dark": {"margin": 0.1}}).holds


def test_only_examples_that_were_compared_count():
    few = [str(number) for number in range(60)]
    bundle = SimpleNamespace(description={"task": "classification", "inputs": []})
    sides = [[Scores("accuracy", "higher", np.ones(60))] for _ in range(2)]
    found = by_slice.check("m", bundle, Scored(few, *sides), PRESENT, GatePolicy())
    assert [row["count"] for row in found.evidence["slices"]] == [50, 30, 3]
