"""Variants at the export: accepted ones lie in the bundle and answer like FP32, refused ones are told of."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

from components import evaluate, export, train
from components.bundles.bundle import DESCRIPTION, Bundle, sha256
from components.project import layout
from components.variants import acceptance
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from tests.components import workspace

NAME = "shapes-cnn"
FILES = ["1/model.onnx", "bundle.json", "config.pbtxt", "golden.safetensors"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A workspace with a small network, exported with a variant."""
    folder = tmp_path_factory.mktemp("variants")
    with contextlib.chdir(folder):
        workspace.make(folder)
        workspace.write_families()
        asks(NAME, "int8")
        train.run(NAME)
        evaluate.run(NAME)
        export.run(NAME)
    return folder


@pytest.fixture
def project(trained, tmp_path, monkeypatch) -> Path:
    return workspace.enter_copy(trained, tmp_path, monkeypatch)


def asks(name: str, *variants: str) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["models"][name]["variants"] = list(variants)
    atomic.write_text(Path("params.yaml"), yaml.safe_dump(params))


def described() -> dict:
    return json.loads((layout.bundle(NAME) / DESCRIPTION).read_text())


def files() -> list[str]:
    folder = layout.bundle(NAME)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_accepted_variant_is_of_the_bundle_and_answers_as_fp32_does(project):
    assert files() == [*FILES, "variants/int8.onnx", "variants/int8.safetensors"]
    folder, data = layout.bundle(NAME), PreparedData(layout.prepared(workspace.DATASET))
    variant = Bundle.open(folder, precision="int8")
    variant.check_golden()
    assert variant.precision == "int8" and variant.sha256 == sha256(folder)
    ours, theirs = (
        bundle.predict({"image": data.test.images})["probabilities"]
        for bundle in (variant, Bundle.open(folder))
    )
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.95 and not np.array_equal(ours, theirs)
    graph = onnx.load(folder / "variants/int8.onnx")
    assert onnx.TensorProto.INT8 in {weight.data_type for weight in graph.graph.initializer}
    told = described()["variants"]["int8"]
    assert told["accepted"] and len(told["tries"]) == 1 and told["tries"][0]["fp32"] == []
    assert {one["of"] for one in told["tries"][0]["differences"]} == {
        "all",
        "class bar",
        "class dot",
        "class ring",
    }


def test_the_same_bytes_every_time_and_without_variants_those_of_before(project):
    with_variant = layout.bundle(NAME)
    before = {file: (with_variant / file).read_bytes() for file in files()}
    export.run(NAME)
    assert {file: (with_variant / file).read_bytes() for file in files()} == before
    asks(NAME)
    export.run(NAME)
    assert files() == FILES
    told = described()
    assert "variants" not in told and set(told["sha256"]) == {*FILES} - {DESCRIPTION}
    with pytest.raises(UserError, match="carries no variant 'int8': fp32"):
        Bundle.open(layout.bundle(NAME), precision="int8")


def test_a_refused_variant_is_told_of_and_fails_nothing(project, monkeypatch):
    monkeypatch.setattr(acceptance, "MARGIN", -1.0)
    export.run(NAME)
    assert files() == FILES
    told = described()["variants"]["int8"]
    assert not told["accepted"] and "must lie wholly above 1" in told["tries"][0]["against"][0]
    first, second = (one["fp32"] for one in told["tries"])
    assert first == [] and len(second) == 2
    with pytest.raises(UserError, match="carries no variant 'int8'"):
        Bundle.open(layout.bundle(NAME), precision="int8")


def test_a_family_that_declares_none_is_refused_before_anything_is_done(project):
    asks("shapes-logreg", "int8")
    with pytest.raises(
        UserError, match=r"shapes-logreg\.variants: 'int8': the family logreg has no variants of reduced"
    ):
        export.run("shapes-logreg")


@pytest.mark.parametrize(
    ("name", "told"), [("../../evil", "is damaged, or no bundle's"), ("int8", "a bundle's files are")]
)
def test_names_of_variants_are_not_taken_as_paths(project, name, told):
    values = described()
    values["variants"] = {name: {"accepted": name != "int8"}}
    atomic.write_json(layout.bundle(NAME) / DESCRIPTION, values)
    with pytest.raises(UserError, match=told):
        Bundle.open(layout.bundle(NAME))
