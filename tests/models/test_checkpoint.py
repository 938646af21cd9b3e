"""Checkpoint folders that are not there, and what lies in one."""

from __future__ import annotations

import json

import pytest

from data.errors import UserError
from models import checkpoint
from tests.models import tiny


def test_a_missing_checkpoint_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint.json there. Run the train stage first"):
        checkpoint.load(tmp_path)


def test_json_tells_what_the_model_is(digits, tmp_path):
    model, run = tiny.fitted("logreg", digits, seed=3)
    config = tiny.settings("logreg")
    checkpoint.save(
        tmp_path, family="logreg", config=config, spec=digits.spec, seed=3, model=model, outcome=run.outcome
    )
    described = json.loads((tmp_path / "checkpoint.json").read_text())
    assert described["family"] == "logreg"
    assert described["seed"] == 3
    assert described["spec"]["classes"] == list("0123456789")
    assert described["best"]["metric"] == "validation_loss"
    assert described["best"]["value"] == min(row["validation_loss"] for row in run.history)
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors", ".json"}  # no pickle
