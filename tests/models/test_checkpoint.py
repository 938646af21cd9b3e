"""Checkpoint folders that are not there, and what lies in one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from data.errors import UserError
from models import checkpoint
from tests.models import tiny


def test_a_missing_checkpoint_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint.json there. Run the train stage first"):
        checkpoint.load(tmp_path)


@pytest.fixture(scope="module")
def saved(digits, tmp_path_factory):
    """Give a checkpoint's folder."""
    folder = tmp_path_factory.mktemp("saved")
    model, run = tiny.fitted("logreg", digits)
    tiny.save(folder, "logreg", tiny.settings("logreg"), digits, model, run)
    return folder


def described(**values: object):
    """Return how to change what ``checkpoint.json`` says."""

    def change(folder: Path) -> None:
        file = folder / "checkpoint.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return change


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "checkpoint.json").write_text("{"), "checkpoint.json: is no JSON"),
        (
            lambda folder: (folder / "checkpoint.json").write_text('{"family": "cnn"}'),
            "no model: no 'config'",
        ),
        (described(family="logregg"), "no family 'logregg'.* Did you mean 'logreg'"),
        (described(config={"depth": 3}), "settings are not this version's: .*depth"),
        (described(spec={"name": "digits"}), "settings are not this version's: .*classes"),
        (described(family="mlp", config={}), "model.safetensors: does not fit 'mlp': .*Missing key"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: cannot be read"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"cut"),
            "model.safetensors: cannot be read",
        ),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_told(saved, tmp_path, spoil, told):
    folder = tmp_path / "spoilt"
    shutil.copytree(saved, folder)
    assert checkpoint.load(folder).spec.name == "digits"
    spoil(folder)
    with pytest.raises(UserError, match=told):
        checkpoint.load(folder)


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
