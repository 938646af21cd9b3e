"""The train stage of a model that starts from another's weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from components import train
from components.project import layout
from data import atomic
from data.errors import UserError
from models import checkpoint
from tests.models import tiny

SMALL = {
    "autoencoder_widths": [8, 16],
    "widths": [16],
    "text_width": 16,
    "epochs": 1,
    "autoencoder_epochs": 1,
}
BASE = {"family": "text_to_image", "dataset": "digit_captions", "overrides": SMALL | {"steps": 2}}
TAUGHT = {"images": 20, "prior_images": 10, "epochs": 1}
FINE_TUNED = {"family": "lora", "base": "b", "dataset": "digit_negatives", "overrides": TAUGHT}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give a function that writes ``params.yaml`` with models ``b`` and, fine-tuned, ``f``; ``b`` is trained."""
    monkeypatch.chdir(tmp_path)
    for name, inverted in (("digit_captions", False), ("digit_negatives", True)):
        tiny.prepare_captions(layout.prepared(name), (60, 20, 20), inverted=inverted)
        atomic.write_text(Path("data") / name / "dataset.yaml", "")
    for family in ("text_to_image", "lora"):
        atomic.write_text(Path("models") / family / "__init__.py", "")

    def write(**changes):
        datasets = {name: f"data/{name}/dataset.yaml" for name in ("digit_captions", "digit_negatives")}
        content = {"datasets": datasets, "judges": list(datasets), "generators": {"b": BASE}}
        content |= {"fine_tuned": {"f": FINE_TUNED | changes}}
        Path("params.yaml").write_text(yaml.safe_dump(content))

    write()
    train.run("b")
    return write


def test_it_holds_all_weights_and_the_settings_of_what_it_started_from(project):
    train.run("f")
    base, made = (checkpoint.load(layout.trained(name)) for name in ("b", "f"))
    assert made.config.base == base.config
    weights = made.model.state_dict()
    for name, value in base.model.unet.state_dict().items():
        assert torch.equal(weights[f"unet.{name}"], value), name
    assert any("lora_B" in name and value.any() for name, value in weights.items())
    assert (layout.trained("f") / "huggingface/adapter_model.safetensors").exists()


def test_another_base_gives_another_model(project):
    train.run("f")
    once = (layout.trained("f") / "model.safetensors").read_bytes()
    train.run("f")
    assert (layout.trained("f") / "model.safetensors").read_bytes() == once
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["generators"]["b"]["seed"] = 1
    Path("params.yaml").write_text(yaml.safe_dump(params))
    train.run("b")
    train.run("f")
    assert (layout.trained("f") / "model.safetensors").read_bytes() != once


def test_the_settings_of_the_base_cannot_be_overridden(project):
    project(overrides=TAUGHT | {"base": {"steps": 3}})
    with pytest.raises(UserError, match=r"fine_tuned\.f\.overrides\.base: is what 'b' was trained with"):
        train.run("f")
