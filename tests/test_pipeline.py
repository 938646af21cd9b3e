"""The real pipeline on a fresh clone: quick models on the embedded data, from nothing to champions.

Three models of three tasks in every run of the tests, all that a fresh clone has by ``make slow``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from components.project import params
from tests import clone
from tests.clone import ROOT, SECTIONS, Project

_PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
ALL = [name for section in SECTIONS for name in _PARAMS[section]]
STAGE = params.load(ROOT / "params.yaml").stage
FEW = ["digits-mlp", "digits-logreg", "digits-gmm"]
"""By the gradient loop, by a solver, by EM; the last one is judged."""

# The first test waits for the whole run.
pytestmark = pytest.mark.timeout(1800)


def _run(folder: Path, models: list[str]) -> Project:
    """Return a clone in which ``darkroom run`` brought ``models`` to champions, with everything committed."""
    project = clone.make(folder, models)
    project.darkroom("run")
    project("git", "add", "-A")
    project("git", "commit", "-qm", "run")
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return _run(tmp_path_factory.mktemp("few") / "clone", FEW)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Project:
    return _run(tmp_path_factory.mktemp("whole") / "clone", ALL)


@pytest.mark.parametrize("which", ["project", pytest.param("whole", marks=pytest.mark.slow)])
def test_every_model_becomes_champion(which, request):
    project = request.getfixturevalue(which)
    rows = json.loads(project.darkroom("run", "--json").stdout)
    assert [row["model"] for row in rows] == (FEW if which == "project" else ALL)
    assert {row["verdict"] for row in rows} == {"champion"}
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"]
        assert list((project.folder / row["pictures"]).glob("*.png"))


@pytest.mark.slow
def test_the_autoencoder_beats_the_mixture(whole):
    """The floor of ``vae``: fewer bits per dimension than ``gmm``, on the same images."""
    bits = {}
    for name in ("digits-vae", "digits-gmm"):
        measured = json.loads(
            (whole.folder / "artifacts/models" / name / "evaluate/metrics.json").read_text()
        )
        bits[name] = measured["metrics"]["bits_per_dim"]
    assert bits["digits-vae"]["high"] < bits["digits-gmm"]["low"]


@pytest.mark.slow
def test_diffusion_is_nearer_to_held_out_images_than_the_other_generators(whole):
    """The floor of ``ddpm``; a distance to training images would favour who copies them."""
    distance = {}
    for name in ("digits-ddpm", "digits-gan", "digits-vae"):
        measured = json.loads(
            (whole.folder / "artifacts/models" / name / "evaluate/metrics.json").read_text()
        )
        distance[name] = measured["metrics"]["frechet_distance_test"]["value"]
    assert min(distance, key=distance.get) == "digits-ddpm"


def test_nothing_changed_means_nothing_runs(project):
    before = {path: path.stat().st_mtime_ns for path in (project.folder / "artifacts").rglob("*")}
    assert "Everything is up to date." in project.darkroom("run").stderr
    assert {path: path.stat().st_mtime_ns for path in (project.folder / "artifacts").rglob("*")} == before


def test_dvc_agrees(project):
    assert "up to date" in project("dvc", "status").stdout
    assert "Running stage" not in project("dvc", "repro").stdout


@pytest.mark.parametrize("name", FEW)
def test_a_forced_training_gives_the_same_bytes(project, name):
    project("dvc", "repro", "-f", "-s", STAGE("train", name))
    assert project.is_committed()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_forced_training_of_any_model_gives_the_same_bytes(whole, name):
    whole("dvc", "repro", "-f", "-s", STAGE("train", name))
    assert whole.is_committed()


@pytest.mark.parametrize("name", ["digits-logreg", pytest.param("digits-mlp", marks=pytest.mark.slow)])
def test_forced_evaluation_and_export_give_the_same_bytes(project, name):
    for kind in ("evaluate", "export"):
        project("dvc", "repro", "-f", "-s", STAGE(kind, name))
    assert project.is_committed()


def test_a_second_clone_pulls_everything_and_is_clean(project):
    second = Project(project.folder.with_name("second"))
    project("git", "clone", "-q", str(project.folder), str(second.folder))
    (second.folder / ".dvc/config.local").write_text((project.folder / ".dvc/config.local").read_text())
    second("dvc", "pull")
    assert "up to date" in second("dvc", "status").stdout
    for name in FEW:
        assert (second.folder / "artifacts/bundles" / name / "1/model.onnx").exists()


def test_one_family_s_file_makes_only_its_stages_stale(project):
    network = project.folder / "models/logreg/network.py"
    text = network.read_text()
    try:
        network.write_text(text + "\n# A remark.\n")
        stale = project("dvc", "status").stdout.splitlines()
        assert {line.rstrip(":") for line in stale if "@" in line and not line.startswith(("\t", " "))} == {
            f"{stage}@digits-logreg" for stage in ("train", "evaluate", "export")
        }
    finally:
        network.write_text(text)


def test_nothing_unnamed_appears_in_a_new_home_and_nobody_outside_is_asked(project):
    """The last test that uses the account: what all of them left there counts."""
    assert (project.newcomer.written(), project.newcomer.connections()) == (set(), [])


def test_what_is_committed_names_no_path_of_this_machine(project):
    assert str(project.folder) not in (project.folder / "dvc.lock").read_text()
    for file in (project.folder / "artifacts/bundles").rglob("*"):
        if file.is_file():
            assert str(project.folder).encode() not in file.read_bytes()
