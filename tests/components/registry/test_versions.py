"""Versions, aliases, and bundles that are verified each time they are fetched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components import register
from components.project.layout import STATE
from components.registry import ledger, mlflow_store, versions
from components.registry.reference import parse
from data.errors import UserError
from tests.components import workspace


def _registered(**settings) -> versions.Version:
    workspace.export(**settings)
    register.run(settings.get("name", "m"))
    return versions.find(settings.get("name", "m"))


def test_snapshot_tells_all_models_at_once(project):
    workspace.write_params({}, names=("a", "b"))
    a, b = _registered(name="a"), _registered(name="b")
    mlflow_store.client().set_registered_model_alias("b", "champion", "1")
    models = versions.snapshot()
    assert {name: model.versions for name, model in models.items()} == {"a": (a,), "b": (b,)}
    assert (models["a"].alias("champion"), models["b"].alias("champion")) == (None, b)
    assert versions.champion("b") == b
    assert models["a"].of_bundle(a.bundle_sha256) == [a]


def test_an_unknown_name_or_version_gets_what_there_is(sqlite_project):
    _registered()
    with pytest.raises(UserError, match="Registered models: m"):
        versions.find("n")
    with pytest.raises(UserError, match=r"no version 7\. Its versions: 1"):
        versions.find("m", 7)


def test_a_bundle_is_fetched_once_and_verified_each_time(project):
    version = _registered()
    fetched = versions.fetch(version)
    assert fetched.sha256 == version.bundle_sha256
    fetched.check_golden()
    model = fetched.folder / "1/model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[:-1])
    versions.fetch(version).check_golden()
    assert model.read_bytes() == whole
    mlflow_store.client().log_text(version.run_id, "lost", "model/bundle/1/model.onnx")
    versions.fetch(version).check_golden()


def test_a_bundle_that_was_changed_in_the_artifact_store_is_refused(project):
    version = _registered()
    (kept,) = Path(STATE).absolute().glob("mlflow/artifacts/*/*/artifacts/model/bundle/1/model.onnx")
    kept.write_bytes(kept.read_bytes() + b"\0")
    with pytest.raises(UserError, match="not the one that was registered"):
        versions.fetch(version)
    assert list((STATE / "bundles").iterdir()) == []


def test_a_bundle_that_is_gone_from_the_artifact_store_is_told(sqlite_project):
    version = _registered()
    (kept,) = Path(STATE).absolute().glob("mlflow/artifacts/*/*/artifacts/model")
    kept.rename(kept.with_name("elsewhere"))
    workspace.export(seed=1)  # the present bundle is another one
    with pytest.raises(UserError, match="m version 1: its bundle cannot be downloaded"):
        versions.fetch(version)


def test_a_version_registered_by_other_means_is_told(sqlite_project):
    mlflow_store.client().create_registered_model("m")
    mlflow_store.client().create_model_version("m", "/nowhere")
    with pytest.raises(UserError, match="not registered by Darkroom"):
        versions.fetch(versions.find("m", 1))


def test_a_version_is_found_by_any_of_its_names(sqlite_project):
    _registered()
    second = _registered(seed=1)
    versions.point("m", "champion", 1)
    found = {
        text: versions.resolve(parse(text)).number
        for text in ("m", "m@champion", "m@1", "m/2", "m@challenger")
    }
    assert found == {"m": 1, "m@champion": 1, "m@1": 1, "m/2": second.number, "m@challenger": second.number}
    with pytest.raises(UserError, match=r"n: no registered model of that name\. It can be: m\."):
        versions.resolve(parse("n"))
    with pytest.raises(UserError, match=r"m: has no version 7\. It can be: 1, 2\."):
        versions.resolve(parse("m@7"))
    with pytest.raises(UserError, match=r"m: has no previous\. It can be: challenger, champion\."):
        versions.resolve(parse("m@previous"))


@pytest.mark.parametrize("name", ["o'hara", 'the "m"', "ends in \\", "a''b", "c = 'd'"])
def test_names_with_signs_of_the_query_language_find_nothing_and_no_more(sqlite_project, name):
    """They are no names of ``params.yaml``; other programs register what they like."""
    mlflow_store.client().create_registered_model(name)
    assert versions.model(name) == versions.snapshot()[name] == versions.Model(name)
    assert ledger.history(name) == [] and ledger.find(name) is None


def test_both_kinds_of_quotes_are_refused_by_name(sqlite_project):
    with pytest.raises(UserError, match="MLflow cannot be asked for what holds both kinds of quotes"):
        versions.model("'\"")


def test_the_folder_of_a_project_may_be_called_anything(sqlite_project, tmp_path, monkeypatch):
    folder = tmp_path / 'o\'hara "and" sons'
    shutil.copytree(".darkroom", folder / ".darkroom")
    monkeypatch.chdir(folder)
    with pytest.raises(KeyError), mlflow_store.whole_run("e", "k", "t", {}):
        raise KeyError
    left = mlflow_store.unfinished("e", f"tags.`{mlflow_store.KEY}` = 'k'")
    assert [run.info.status for run in left] == ["FAILED"]
