"""The fast answer to "did anything change" is never a wrong yes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flows.stages import up_to_date


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # mlflow.set_tracking_uri leaves it behind
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "folder/inner/a").write_text("one")
    (tmp_path / "file").write_text("two")
    (tmp_path / "params.yaml").write_text("models: {}")
    return tmp_path


TABLE = [{"model": "m", "value": 0.5}]


def _save() -> None:
    files = up_to_date.take([Path("folder"), Path("file"), Path("absent")])
    up_to_date.save(["m"], files, up_to_date.registry(), TABLE)


def test_holds_while_nothing_changes(workspace):
    assert up_to_date.recall(["m"]) is None
    _save()
    assert up_to_date.recall(["m"]).table == TABLE
    assert up_to_date.recall(["other"]) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda: Path("file").write_text("three!"),
        lambda: Path("file").write_text("TWO"),
        lambda: os.utime("folder/inner/a", ns=(1, 1)),
        lambda: Path("folder/inner/b").write_text(""),
        lambda: Path("folder/inner/a").unlink(),
        lambda: Path("absent").write_text("now here"),
        lambda: Path("params.yaml").write_text("models: {x: 1}"),
        lambda: Path("dvc.lock").write_text("schema: '2.0'"),
        lambda: (Path("new").write_text("two"), Path("new").replace("file")),
    ],
)
def test_any_change_is_seen(workspace, change):
    _save()
    change()
    assert up_to_date.recall(["m"]) is None


def test_bytecode_caches_do_not_count(workspace):
    _save()
    (workspace / "folder/__pycache__").mkdir()
    (workspace / "folder/__pycache__/a.pyc").write_bytes(b"x")
    assert up_to_date.recall(["m"])


def test_a_file_cut_short_does_not_hold(workspace):
    _save()
    saved = next(Path(".darkroom/up-to-date").iterdir())
    saved.write_text(saved.read_text()[:10])
    assert up_to_date.recall(["m"]) is None


def test_what_an_older_version_kept_does_not_hold(workspace):
    _save()
    saved = next(Path(".darkroom/up-to-date").iterdir())
    saved.write_text(json.dumps(json.loads(saved.read_text())["files"]))
    assert up_to_date.recall(["m"]) is None


def test_what_was_edited_while_dvc_looked_is_looked_at_again(workspace):
    files = up_to_date.take([Path("file")])
    Path("file").write_text("edited")
    up_to_date.save(["m"], files, up_to_date.registry(), TABLE)
    assert up_to_date.recall(["m"]) is None


def test_the_registry_is_asked_again_once_it_changed(workspace):
    database = Path(".darkroom/mlflow/mlflow.db")
    database.parent.mkdir(parents=True)
    database.write_bytes(b"one champion")
    _save()
    assert up_to_date.recall(["m"]).table == TABLE
    database.write_bytes(b"another one")
    assert up_to_date.recall(["m"]).files
    assert up_to_date.recall(["m"]).table is None


def test_a_registry_elsewhere_is_asked_every_time(workspace, monkeypatch):
    _save()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://registry:5000")
    assert up_to_date.recall(["m"]).table is None
    _save()
    assert up_to_date.recall(["m"]).table is None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert up_to_date.recall(["m"]).table is None
