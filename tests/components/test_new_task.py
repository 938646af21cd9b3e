"""What a new task touches: two modules, its name, and the kind of data that it learns from. Nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEW = Path(__file__).parent / "new_task"
ADDED = {
    "measured.py": "components/tasks/multi_label.py",
    "people.py": "components/pipelines/tasks/multi_label.py",
    "family.py": "models/tagger/__init__.py",
}
CHANGED = {
    "components/tasks/__init__.py": ("TASKS = (\n", 'TASKS = (\n    "multi_label",\n'),
    "data/kinds.py": ('Kind(("boxes",), ("detection",)', 'Kind(("boxes",), ("detection", "multi_label")'),
}


def test_a_new_task_goes_through_every_stage(tmp_path):
    for package in ("components", "data", "models"):
        ignored = shutil.ignore_patterns("__pycache__", "artifacts")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    for source, target in ADDED.items():
        (tmp_path / target).parent.mkdir(exist_ok=True)
        shutil.copyfile(NEW / source, tmp_path / target)
    for name, (old, new) in CHANGED.items():
        text = (tmp_path / name).read_text()
        assert text.count(old) == 1
        (tmp_path / name).write_text(text.replace(old, new))
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, NEW / "stages.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["task"] == "multi-label-image-classification"
    assert len(found["answer"]) == 2 and found["answer"][0]["score"] >= found["answer"][1]["score"]
    above = [one["label"] for one in found["answer"] if one["score"] >= 0.5]
    assert found["line"].split()[: len(above)] == (above or ["nothing"])
    measured = found["metrics"]["map"]
    assert 0 < measured["low"] <= measured["value"] <= measured["high"] <= 1
    assert found["parity"] == ["confidence"]
    overall, *by_class = found["compared"]
    assert (overall["metric"], overall["of"], overall["value"], overall["holds"]) == ("map", "all", 0, True)
    assert overall["candidate"] == pytest.approx(measured["value"], abs=1e-3)
    assert len(by_class) > 5
    assert found["plots"] == ["labels.png", "learning_curves.png"]
