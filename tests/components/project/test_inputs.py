"""What is edited while a stage runs is never recorded as what it ran with: real DVC, a real process each time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.project import inputs
from data.errors import UserError

ROOT = Path(__file__).parents[3]
DVC = Path(sys.executable).with_name("dvc")
DVC_YAML = """
stages:
  train:
    foreach: ${models}
    do:
      cmd: python stage.py ${key}
      params: ["models.${key}"]
      deps: ["data/${item.dataset}", "code.py", "stage.py"]
      outs: ["out-${key}"]
"""
PARAMS = "models: {m: {dataset: d, overrides: {epochs: 4}}, other: {dataset: d}}\n"
STAGE = """
import time
from pathlib import Path
from components.project.command import main

def run(name):
    text = Path("params.yaml").read_text()
    Path("began").touch()
    while Path("hold").exists():
        time.sleep(0.01)
    Path(f"out-{name}").write_text(text)

main(run)
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project of the stages ``train@m`` and ``train@other``; they wait while there is a file ``hold``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/d").mkdir(parents=True)
    files = {"dvc.yaml": DVC_YAML, "params.yaml": PARAMS, "stage.py": STAGE, "code.py": "A = 1\n"}
    for name, text in {**files, "data/d/one": "1"}.items():
        Path(name).write_text(text)
    Path("data/d/large").write_bytes(bytes(3 << 20))
    return tmp_path


def repro(edit=lambda: None) -> subprocess.CompletedProcess:
    """Type ``dvc repro train@m`` and ``edit`` once the stage has read its settings."""
    Path("began").unlink(missing_ok=True)
    Path("hold").touch()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = subprocess.Popen(
        [DVC, "repro", "train@m"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not Path("began").exists():
        assert command.poll() is None, command.stdout.read()
        time.sleep(0.01)
    edit()
    Path("hold").unlink()
    output, _ = command.communicate(timeout=60)
    return subprocess.CompletedProcess(command.args, command.returncode, output)


def _note(monkeypatch) -> None:
    monkeypatch.setenv(inputs.STAGE, "train@m")
    monkeypatch.setattr(inputs, "_begun", None)
    inputs.note()


def set_epochs(number: int) -> None:
    Path("params.yaml").write_text(PARAMS.replace("epochs: 4", f"epochs: {number}"))


def test_settings_edited_meanwhile_are_not_recorded(project):
    subprocess.run([DVC, "init", "-q", "--no-scm"], check=True)
    done = repro(lambda: set_epochs(7))
    assert done.returncode != 0
    assert "params.yaml: models.m.overrides.epochs: 4 when it began, 7 now" in done.stdout
    assert not (project / "dvc.lock").exists()
    assert repro().returncode == 0
    assert "epochs: 7" in (project / "out-m").read_text()
    assert "epochs: 7" in (project / "dvc.lock").read_text()


def test_what_another_stage_reads_may_be_edited(project, monkeypatch):
    _note(monkeypatch)
    Path("params.yaml").write_text(PARAMS.replace("other: {", "other: {seed: 1, "))
    assert inputs.confirm() is None


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda: Path("code.py").write_text("A = 2\n"), "code.py: changed"),
        (lambda: Path("code.py").unlink(), "code.py: removed"),
        (lambda: Path("data/d/two").write_text("2"), "data/d/two: added"),
        (lambda: Path("data/d/one").unlink(), "data/d/one: removed"),
        (lambda: Path("data/d/large").write_bytes(b"1" + bytes((3 << 20) - 1)), "data/d/large: changed"),
    ],
)
def test_each_edit_is_named(project, monkeypatch, edit, told):
    _note(monkeypatch)
    inputs.confirm()
    edit()
    with pytest.raises(UserError, match=f"^train@m reads what was edited(.|\n)*  {told}\n"):
        inputs.confirm()


def test_what_is_read_has_to_be_declared(project, monkeypatch):
    inputs.require(Path("data/e"), "Of no stage: nothing is recorded.")
    _note(monkeypatch)
    inputs.require(Path("data/d/one"), "Declared.")
    with pytest.raises(
        UserError, match=r"dvc.yaml: train@m reads data/e, which is none of its deps. Mend it."
    ):
        inputs.require(Path("data/e"), "Mend it.")


def test_what_editors_and_a_touch_leave_is_no_edit(project, monkeypatch):
    _note(monkeypatch)
    Path("data/d/.one.swp").write_text("x")
    Path("data/d/__pycache__").mkdir()
    Path("data/d/__pycache__/one.pyc").write_text("x")
    os.utime("code.py", (1, 1))
    assert inputs.confirm() is None


def test_every_stage_of_the_project_can_be_told(monkeypatch):
    from flows.stages import dag

    monkeypatch.chdir(ROOT)
    for stage in dag.read():
        keys, deps = inputs.declared(stage.name)
        assert [str(Path(dep).absolute()) for dep in deps] == [str(dep) for dep in stage.paths[: len(deps)]]
        has_params = stage.kind in ("train", "evaluate", "export")
        assert len(keys) == has_params and all(key.endswith(f".{stage.item}") for key in keys)
        assert bool(inputs.Inputs.read(keys, deps).params) == has_params
