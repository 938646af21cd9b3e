"""The fast answer to "did anything change" is never a wrong yes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flows import snapshot


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "folder/inner/a").write_text("one")
    (tmp_path / "file").write_text("two")
    (tmp_path / "params.yaml").write_text("models: {}")
    return tmp_path


def _save() -> None:
    snapshot.save(["m"], snapshot.take([Path("folder"), Path("file"), Path("absent")]))


def test_holds_while_nothing_changes(workspace):
    assert not snapshot.holds(["m"])
    _save()
    assert snapshot.holds(["m"])
    assert not snapshot.holds(["other"])


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
    assert not snapshot.holds(["m"])


def test_bytecode_caches_do_not_count(workspace):
    _save()
    (workspace / "folder/__pycache__").mkdir()
    (workspace / "folder/__pycache__/a.pyc").write_bytes(b"x")
    assert snapshot.holds(["m"])


def test_a_file_cut_short_does_not_hold(workspace):
    _save()
    saved = next(Path(".darkroom/up-to-date").iterdir())
    saved.write_text(saved.read_text()[:10])
    assert not snapshot.holds(["m"])
