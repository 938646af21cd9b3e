"""Artifacts are found after the project's folder was moved, and on a second machine, or what to do is told."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest
import yaml

from components import gate, register
from components.project import layout
from components.promotion import champion
from components.registry import artifact_places, ledger, mlflow_store, versions
from data.errors import UserError
from tests.components import workspace

GATE = {"m": {"thresholds": {"accuracy": {"at_least": 0.5}}}}


@pytest.fixture
def shared_database(postgres_server, monkeypatch, tmp_path) -> Path:
    """A workspace with an empty registry on PostgreSQL as the working directory."""
    name = f"places_{uuid.uuid4().hex}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE template")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres_server.address(name))
    folder = tmp_path / "first"
    folder.mkdir()
    monkeypatch.chdir(folder)
    workspace.make(folder)
    return folder


def _registered(**settings) -> versions.Version:
    workspace.export(**settings)
    register.run("m")
    return versions.find("m")


def _told(capfd) -> list[str]:
    """Return what was said of the registry and of bundles, without MLflow's own log."""
    return [line for line in capfd.readouterr().err.splitlines() if "INFO mlflow" not in line]


def _second_machine(first: Path, monkeypatch) -> Path:
    """Clone the project without its state and results; its user goes there."""
    second = first.with_name("second")
    shutil.copytree(first, second, ignore=shutil.ignore_patterns(".darkroom", "bundles", "cache"))
    monkeypatch.chdir(second)
    return second


def test_a_moved_project_goes_on_where_it_is(sqlite_template, tmp_path, monkeypatch, capfd):
    old, new = tmp_path / "old", tmp_path / "it's" / "moved"
    old.mkdir()
    monkeypatch.chdir(old)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    workspace.make(old)
    layout.MLFLOW.mkdir(parents=True)
    shutil.copy(sqlite_template, layout.MLFLOW / "mlflow.db")
    workspace.write_params(GATE)
    _registered(noise=0.1)
    assert gate.run("m").verdict == "promoted"
    _registered()
    with pytest.raises(KeyboardInterrupt), mlflow_store.whole_run("e", "k", "t", {}):
        raise KeyboardInterrupt

    new.parent.mkdir()
    old.rename(new)
    monkeypatch.chdir(new)
    shutil.rmtree(layout.STATE / "bundles")
    shutil.rmtree(layout.bundle("m"))
    capfd.readouterr()
    (standing,) = champion.standings()
    assert (standing.champion, standing.challenger) == (1, 2)
    assert _told(capfd) == [f"registry: the project was in {old}: artifacts are found in {new} now"]
    assert gate.run("m", 1).evidence["checks"]
    assert gate.run("m").verdict == "promoted"
    assert champion.rollback("m", by="a")[0].number == 1
    _registered(seed=2)
    assert _told(capfd) == []
    assert not old.exists()
    for version in versions.model("m").versions:
        place = mlflow_store.client().get_run(version.run_id).info.artifact_uri
        assert Path(place).is_relative_to(new) and Path(place, "model/bundle/bundle.json").exists()
        assert mlflow_store.client().get_model_version("m", str(version.number)).source == f"{place}/model"
    assert [run.info.status for run in mlflow_store.unfinished("e", f"tags.`{mlflow_store.KEY}` = 'k'")] == [
        "RUNNING"
    ]


def test_a_copy_leaves_the_first_folder_alone(sqlite_project, monkeypatch, tmp_path_factory):
    version = _registered()
    copy = tmp_path_factory.mktemp("copies") / "copy"
    shutil.copytree(sqlite_project, copy)
    before = sorted(sqlite_project.rglob("*"))
    monkeypatch.chdir(copy)
    shutil.rmtree(sqlite_project / ".darkroom/locks")
    _registered(seed=1)
    assert versions.fetch(version).sha256 == version.bundle_sha256
    assert {path for path in sqlite_project.rglob("*")} == {p for p in before if "locks" not in p.parts}


def test_artifacts_in_a_folder_of_another_project_are_told_with_the_mend(shared_database, monkeypatch, capfd):
    workspace.write_params(GATE)
    _registered()
    assert gate.run("m").verdict == "promoted"
    second = _second_machine(shared_database, monkeypatch)
    shutil.rmtree(shared_database)
    assert [standing.champion for standing in champion.standings()] == [1]
    workspace.export(seed=1)
    with pytest.raises(UserError, match=r"keeps its artifacts in .*/first/.* Set DARKROOM_ARTIFACTS on each"):
        register.run("m")
    with pytest.raises(UserError, match="its bundle cannot be downloaded"):
        versions.fetch(versions.find("m"))
    assert gate.run("m").verdict == "unchanged"
    assert "m version 1: the evidence of " in capfd.readouterr().err

    monkeypatch.setenv(artifact_places.SHARED, str(second / "missing"))
    with pytest.raises(UserError, match=r"missing: no such folder\. Is it mounted?"):
        register.run("m")
    (second / "missing").mkdir()
    assert register.run("m").version == 2
    assert (second / "missing/darkroom-m").exists() and not shared_database.exists()
    versions.fetch(versions.find("m", 2))


def test_a_second_machine_fetches_the_champion_from_the_shared_place(shared_database, monkeypatch, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv(artifact_places.SHARED, str(shared))
    workspace.write_params(GATE)
    registered = _registered(noise=0.1)
    assert gate.run("m").verdict == "promoted"
    _second_machine(shared_database, monkeypatch)
    shutil.rmtree(shared_database)
    assert versions.fetch(versions.champion("m")).sha256 == registered.bundle_sha256
    _registered()
    assert gate.run("m").verdict == "promoted"
    assert ledger.evidence(ledger.history("m")[0])["checks"]
    (file,) = shared.glob(f"darkroom-m/{registered.run_id}/artifacts/model/bundle/1/model.onnx")
    file.write_bytes(file.read_bytes() + b"\0")
    shutil.rmtree(layout.STATE / "bundles")
    with pytest.raises(UserError, match="not the one that was registered"):
        versions.fetch(registered)


def test_a_bundle_out_of_reach_is_found_by_its_hash_in_dvc(shared_database, monkeypatch, tmp_path, capfd):
    from dvc.repo import Repo

    workspace.export()
    stage = {"cmd": "true", "outs": [layout.bundle("m").as_posix()]}
    of_each = {"foreach": ["m"], "do": stage}  # so that it is called export@m
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"export": of_each}}))
    with Repo.init(no_scm=True) as repo, repo.config.edit() as config:
        config["core"]["remote"] = "team"
        config["remote"] = {"team": {"url": str(tmp_path / "remote")}}
    with Repo() as repo:
        repo.commit(force=True)
        repo.push()
    register.run("m")
    version = versions.find("m")
    _second_machine(shared_database, monkeypatch)
    shutil.rmtree(shared_database)
    found = versions.fetch(version)
    assert (found.sha256, found.folder.parent) == (version.bundle_sha256, layout.STATE / "bundles")
    assert "taken from the DVC remote" in capfd.readouterr().err

    shutil.rmtree(layout.STATE / "bundles")
    for file in (tmp_path / "remote").rglob("*"):
        if file.is_file() and file.stat().st_size > 1000:
            file.chmod(0o644)
            file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(UserError, match=r"Looked for by its hash, too: .*the DVC remote"):
        versions.fetch(version)
