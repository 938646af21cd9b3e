"""What a fine-tuned model starts from: the base's checkpoint, or a message that says what is wrong."""

from __future__ import annotations

import re

import pytest

from components.project import layout
from components.project.sections import ModelParams
from components.trained import base_model
from data.errors import UserError
from models import text_to_image
from models.run import Outcome
from tests.models import tiny

WHERE = "params.yaml: fine_tuned.m"


def entry(family: str, base: str | None) -> ModelParams:
    return ModelParams(family=family, base=base, dataset="d")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working directory with two models as they were built: ``captions`` and ``digits``."""
    monkeypatch.chdir(tmp_path)
    for name, family, prepare in (
        ("captions", "text_to_image", tiny.prepare_captions),
        ("digits", "logreg", tiny.prepare),
    ):
        data = prepare(tmp_path / "data" / name)
        config = tiny.settings(family)
        model = tiny.begin(family, config, data)
        run = type("Run", (), {"seed": 0, "outcome": Outcome(model.state_dict(), 1, {})})
        layout.trained(name).mkdir(parents=True)
        tiny.save(layout.trained(name), family, config, data, model, run)
    return tmp_path


def test_the_base_is_what_was_trained(project):
    found = base_model.load(entry("dreambooth", "captions"), WHERE)
    assert found.family is text_to_image and found.spec.name == "digit_captions"


def test_what_starts_from_nothing_has_no_base(project):
    assert base_model.load(entry("cnn", None), WHERE) is None


@pytest.mark.parametrize(
    ("family", "base", "told"),
    [
        ("dreambooth", None,
         f"{WHERE}.family: 'dreambooth' starts from the weights of a 'text_to_image': it belongs under 'fine_tuned', "
         "with a 'base'."),
        ("mlp", "captions", f"{WHERE}.family: 'mlp' starts from nothing: it does not belong under 'fine_tuned'."),
        ("dreambooth", "digits",
         f"{WHERE}.base: 'digits' is a 'logreg', but 'dreambooth' starts from a 'text_to_image'."),
        ("dreambooth", "other", "artifacts/models/other/train: no checkpoint.json there. Run the train stage first."),
    ],
)  # fmt: skip
def test_what_cannot_be_started_from_is_named(project, family, base, told):
    with pytest.raises(UserError, match=f"^{re.escape(told)}$"):
        base_model.load(entry(family, base), WHERE)
