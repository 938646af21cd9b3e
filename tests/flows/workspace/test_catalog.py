"""Taking a model from the catalog edits ``params.yaml`` and nothing else in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components.project import params
from data.errors import UserError
from flows.workspace import catalog

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    for name in ("params.yaml", "data", "models"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_take_moves_the_entry_and_adds_its_data_set(project):
    before = params.load()
    assert catalog.take(["fashion-cnn"]) == ["fashion-cnn"]
    after = params.load()
    assert after.models["fashion-cnn"] == before.catalog["fashion-cnn"]
    assert "fashion-cnn" not in after.catalog
    assert after.datasets == before.datasets | {"fashion_mnist": "data/fashion_mnist/dataset.yaml"}
    assert {**after.models, **after.catalog} == {**before.models, **before.catalog}


def test_take_puts_what_a_judge_measures_where_the_judge_is(project):
    before = params.load()
    catalog.take(["fashion-gan"])
    after = params.load()
    assert after.generators["fashion-gan"] == before.catalog["fashion-gan"]
    assert after.judges == (*before.judges, "fashion_mnist")


def test_take_brings_along_what_the_model_starts_from(project):
    path = Path("params.yaml")
    entries = "  b: {family: cnn, dataset: digits}\n  a: {family: vae, base: b, dataset: digits}\n"
    path.write_text(path.read_text().replace("\ncatalog:\n", f"\ncatalog:\n{entries}"))
    before = params.load()
    assert catalog.take(["a"]) == ["b", "a"]
    after = params.load()
    assert after.models["b"] == before.catalog["b"] and after.fine_tuned["a"] == before.catalog["a"]
    assert not {"a", "b"} & after.catalog.keys()


def test_take_brings_along_the_weights_that_the_model_starts_from(project):
    before = params.load()
    comments = [line for line in Path("params.yaml").read_text().splitlines() if line.startswith("#")]
    assert not before.weights and catalog.take(["stamps-cnn"]) == ["stamps-cnn"]
    after, text = params.load(), Path("params.yaml").read_text()
    assert after.pretrained["stamps-cnn"] == before.catalog["stamps-cnn"]
    assert after.weights == before.catalog_weights == after.catalog_weights
    assert after.datasets["stamps"] == "data/stamps/dataset.yaml" and all(line in text for line in comments)


def test_take_keeps_every_comment(project):
    comments = [line for line in Path("params.yaml").read_text().splitlines() if line.startswith("#")]
    catalog.take(["fashion-cnn"])
    text = Path("params.yaml").read_text()
    assert all(comment in text for comment in comments)


def test_take_moves_an_entry_of_a_catalog_by_its_old_name(project):
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("\ncatalog:\n", "\nshelf:\n"))
    assert catalog.take(["fashion-cnn"]) == ["fashion-cnn"]
    assert "fashion-cnn" in params.load().models


def test_names_not_in_the_catalog_change_nothing(project):
    before = Path("params.yaml").read_bytes()
    assert catalog.take(["digits-cnn", "nothing"]) == []
    assert Path("params.yaml").read_bytes() == before


def test_an_invalid_file_is_left_as_it_is(project):
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("preset: quick", "presett: quick", 1))
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"presett.*unknown key.*'preset'"):
        catalog.take(["fashion-cnn"])
    assert path.read_bytes() == before
