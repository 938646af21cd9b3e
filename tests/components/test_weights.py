"""Pre-trained weights as a stage: brought, held against their pin, and what a model of another data set starts from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from components import evaluate, export, train, weights
from components.project import layout
from components.trained import base_model
from data import atomic
from data.errors import UserError
from models import checkpoint
from tests.models import tiny

SMALL = {"widths": [8, 16], "epochs": 1, "least_steps": 1}
PRETRAINED = {"family": "cnn", "base": "w", "dataset": "digits", "overrides": SMALL | {"freeze": "backbone"}}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give a function that writes ``params.yaml``: weights ``w`` from a file, of a trained cnn, and ``f`` from them."""
    monkeypatch.chdir(tmp_path)
    data = tiny.prepare(layout.prepared("digits"))
    atomic.write_text(Path("data/digits/dataset.yaml"), "")
    for family in ("cnn", "logreg"):
        atomic.write_text(Path("models") / family / "__init__.py", "")
    model, _ = tiny.fitted("cnn", data, overrides=SMALL)
    torch.save(model.state_dict(), "w.pth")

    def write(pretrained=PRETRAINED, models=None, **entry):
        pinned = {"source": "w.pth", "sha256": sha256("w.pth"), "licence": "MIT"} | entry
        content = {
            "datasets": {"digits": "data/digits/dataset.yaml"},
            "models": models or {},
            "weights": {"w": {key: value for key, value in pinned.items() if value is not None}},
            "pretrained": {"f": pretrained},
        }
        Path("params.yaml").write_text(yaml.safe_dump(content))

    write()
    return write


def sha256(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def test_the_stage_leaves_safetensors_and_where_they_came_from(project):
    folder = weights.run("w")
    saved, wanted = load_file(folder / "model.safetensors"), torch.load("w.pth", weights_only=True)
    assert saved.keys() == wanted.keys() and all(torch.equal(saved[key], wanted[key]) for key in saved)
    told = {"name": "w", "source": "w.pth", "sha256": sha256("w.pth"), "licence": "MIT"}
    assert json.loads((folder / "origin.json").read_text()) == told
    once = (folder / "model.safetensors").read_bytes()
    assert (weights.run("w") / "model.safetensors").read_bytes() == once


def test_a_model_starts_from_them_and_says_so_without_their_source(project):
    weights.run("w")
    wanted = torch.load("w.pth", weights_only=True)
    Path("w.pth").unlink()  # what DVC keeps is enough
    train.run("f")
    made = checkpoint.load(layout.trained("f"))
    for name, value in made.model.state_dict().items():
        assert name.startswith("classify.") or torch.equal(value, wanted[name]), name
    assert made.origin["licence"] == "MIT" and made.origin["source"] == "w.pth"


def test_a_folder_is_taken_whole(project):
    Path("folder").mkdir()
    torch_saved = torch.load("w.pth", weights_only=True)
    from safetensors.torch import save_file

    save_file(torch_saved, "folder/model.safetensors")
    Path("folder/config.json").write_text("{}")
    project(source="folder", sha256=sha256("folder/model.safetensors"))
    folder = weights.run("w")
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "origin.json",
    ]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"sha256": None}, r"^params\.yaml: weights\.w\.sha256: is missing\. What lies there .*: sha256: {sha}"),
        ({"sha256": "0" * 64}, r"^params\.yaml: weights\.w\.sha256: 000000000000 is pinned, .* w\.pth have {sha}"),
        ({"source": "v.pth"}, r"params\.yaml: weights\.w\.source: v\.pth: no such file\. Did you mean 'w\.pth'"),
        ({"source": "data"}, r"params\.yaml: weights\.w\.source: data: no weights there"),
        ({"licence": None}, r"params\.yaml: weights\.w\.licence: is missing"),
        ({"sorce": "w.pth"}, r"params\.yaml: weights\.w\.sorce: unknown key\. Did you mean 'source'"),
        ({"sha256": "abc"}, r"params\.yaml: weights\.w\.sha256: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_file_and_key_and_nothing_is_left(project, entry, told):
    project(**entry)
    with pytest.raises(UserError, match=told.replace("{sha}", sha256("w.pth"))):
        weights.run("w")
    assert not layout.trained("w").exists()


def test_weights_that_nobody_listed_are_told(project):
    with pytest.raises(UserError, match=r"params\.yaml: no weights 'v' under 'weights'\. It can be: w"):
        weights.run("v")


def test_one_name_is_one_thing(project):
    project(models={"w": {"family": "cnn", "dataset": "digits"}})
    with pytest.raises(UserError, match="'w' is there twice, under 'models' and under 'weights'"):
        weights.run("w")


def test_weights_of_another_network_are_told_by_file(project):
    project(pretrained=PRETRAINED | {"overrides": {"widths": [8, 32]}})
    weights.run("w")
    with pytest.raises(
        UserError, match=r"base: artifacts/models/w/train/model\.safetensors: holds the weights of"
    ):
        train.run("f")


def test_a_family_that_starts_from_nothing_refuses_them(project):
    project(pretrained={"family": "logreg", "base": "w", "dataset": "digits"})
    weights.run("w")
    with pytest.raises(UserError, match=r"pretrained\.f\.family: 'logreg' starts from nothing"):
        train.run("f")


def test_a_model_of_the_project_can_be_the_base(project):
    project(
        models={"m": {"family": "cnn", "dataset": "digits", "overrides": SMALL}},
        pretrained=PRETRAINED | {"base": "m"},
    )
    train.run("m")
    train.run("f")
    origin = checkpoint.load(layout.trained("f")).origin
    assert origin == {
        "name": "m",
        "source": "a model of this project",
        "sha256": sha256("artifacts/models/m/train/model.safetensors"),
    }


def test_what_a_base_started_from_is_told_too(project):
    weights.run("w")
    train.run("f")
    entry = train.params.load().model("f").model_copy(update={"base": "f"})
    assert base_model.origin(entry)["pretrained"]["licence"] == "MIT"


@pytest.mark.slow  # half a minute, most of it the export
def test_the_bundle_says_where_its_weights_came_from(project):
    weights.run("w")
    train.run("f")
    evaluate.run("f")
    told = {"name": "w", "source": "w.pth", "sha256": sha256("w.pth"), "licence": "MIT"}
    assert export.run("f").description["pretrained"] == told
