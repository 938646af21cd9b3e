"""The power fails at fifty random moments: every run that is completed ends in the bytes of an undisturbed one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import yaml

from tests import clone, processes
from tests.clone import Project

MODELS = ["digits-logreg", "digits-svm", "digits-gmm", "digits-mlp", "digits-cnn", "digits-rnn"]
KILLS = 50
IN_A_ROW = 5
"""Kills of one project before it is left to complete."""
MARK = "DARKROOM_KILL_SWEEP"


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_runs_killed_at_random_moments_end_in_the_bytes_of_an_undisturbed_one(tmp_path):
    undisturbed = _project(tmp_path / "undisturbed")
    began = time.monotonic()
    undisturbed.darkroom("run")
    seconds = time.monotonic() - began
    expected = _result(undisturbed)
    assert set(expected["champions"]) == set(MODELS)
    print(f"undisturbed: {seconds:.0f} s, {len(expected['files'])} files", flush=True)
    chance = random.Random(20)
    killed = projects = 0
    while killed < KILLS:
        projects += 1
        project = _project(tmp_path / f"project-{projects}")
        moments = sorted(chance.uniform(0, seconds) for _ in range(IN_A_ROW))
        for before, moment in zip([0.0, *moments], moments, strict=False):
            killed += _killed_after(moment - before, project)
        project.darkroom("run")
        assert _result(project) == expected
        shutil.rmtree(project.folder)
        print(f"project {projects}: complete, {killed} kills so far", flush=True)


def _project(folder: Path) -> Project:
    project = clone.make(folder / "clone", MODELS)
    project.environment[MARK] = str(folder)
    return project


def _killed_after(seconds: float, project: Project) -> bool:
    """Start a run and kill all of its processes at once after ``seconds``; return whether it had not ended before."""
    log = project.folder.with_name("run.log")
    with log.open("w") as output:
        run = subprocess.Popen(
            ["python", "-m", "flows", "run"],
            cwd=project.folder,
            env=project.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        status = run.wait(seconds)
    except subprocess.TimeoutExpired:
        # The reaper too: nothing is left that could tidy up.
        while running := processes.marked(MARK, project.environment[MARK]):
            for process in running:
                with contextlib.suppress(psutil.NoSuchProcess):  # it went with another one
                    process.kill()
        run.wait()
        told = log.read_text().splitlines()
        print(f"  killed after {seconds:.1f} s: {told[-1] if told else 'nothing was said'}", flush=True)
        return True
    assert status == 0, log.read_text()
    return False


def _result(project: Project) -> dict:
    """Return all that a run leaves and the next one builds on; times and what holds them are left out."""
    status = project("dvc", "status").stdout.strip()
    assert status == "Data and pipelines are up to date."
    # Stages side by side are recorded in the order in which they end.
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())
    history = json.loads(project.darkroom("history", "--json").stdout)
    return {
        "lock": lock,
        "files": {
            str(path.relative_to(project.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for out in _outs(lock)
            for path in _files(project.folder / out)
        },
        "champions": {
            entry["model"]: (entry["version"], entry["bundle_sha256"])
            for entry in history
            if entry["kind"] == "promotion"
        },
        "history": sorted((entry["model"], entry["kind"], entry["version"]) for entry in history),
        "begun and not finished": sorted(
            str(path.relative_to(project.folder))
            for root in ("artifacts", ".darkroom", "data")
            for path in _files(project.folder / root)
            if ".tmp" in path.name or any(part.endswith(".tmp") for part in path.parts)
        ),
    }


def _outs(lock: dict) -> list[str]:
    return sorted(out["path"] for stage in lock["stages"].values() for out in stage["outs"])


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
