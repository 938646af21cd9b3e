"""Machines that share a registry on PostgreSQL promote one after the other, whatever is killed on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components import register
from components.promotion import champion
from components.registry import ledger, locks, versions
from tests.components import workspace

ROOT = Path(__file__).parents[3]


@pytest.fixture
def machines(postgresql_project, tmp_path_factory, monkeypatch) -> tuple[Path, Path]:
    """Two workspaces of one registry, with a version that waits for the gate; the first is the working directory."""
    monkeypatch.setenv("DARKROOM_ARTIFACTS", str(tmp_path_factory.mktemp("artifacts")))
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.5}}}})
    workspace.export()
    register.run("m")
    other = tmp_path_factory.mktemp("other") / "project"
    shutil.copytree(postgresql_project, other, ignore=shutil.ignore_patterns(".darkroom"))
    return postgresql_project, other


def test_promotions_at_once_are_one(machines):
    command = [sys.executable, "-m", "tests.components.at_once", "promote", "m", *map(str, machines * 2)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.splitlines()) == ["1 promoted"] + ["1 unchanged"] * 3
    assert [entry.kind for entry in ledger.history("m")] == ["decision", "promotion"]
    assert "waits for darkroom " in done.stderr


def test_what_a_killed_machine_left_is_closed_by_another(machines, monkeypatch):
    point = versions.point

    def killed(name: str, alias: str, number: int) -> None:
        point(name, alias, number)
        raise KeyboardInterrupt

    model = versions.model("m")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(versions, "point", killed)
        champion.move(model, model.version(1), None, kind="promotion", by="gate", reasons=[], evidence={})
    (standing,) = champion.standings()
    assert standing.moved_by_hand  # as long as nobody closes it
    monkeypatch.chdir(machines[1])
    with locks.of_models("m"):
        champion.mend("m")
    (standing,) = champion.standings()
    assert (standing.moved_by_hand, standing.champion) == (False, 1)
