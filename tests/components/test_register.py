"""A bundle becomes one version, however often, however many at once, and whatever is killed on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components import register
from components.project import layout
from components.registry import mlflow_store, store_address, versions
from data import atomic
from data.errors import UserError
from tests.components import workspace

ROOT = Path(__file__).parents[2]


def _python(*arguments: str, code: int = 0) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == code, done.stderr
    return done.stdout.splitlines()


def test_a_version_carries_all_that_it_is_traced_back_to(project):
    (project / "dvc.lock").write_text("schema: '2.0'\n")
    sha256 = workspace.export()
    registration = register.run("m")
    assert registration == register.Registration("m", 1, sha256, True)
    version = versions.find("m", 1)
    assert version.bundle_sha256 == sha256
    assert {
        "data_sha256",
        "git_commit",
        "git_dirty",
        "dvc_lock_sha256",
        "task",
        "family",
        "trained_on",
    } <= set(version.tags)
    run = mlflow_store.client().get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["family"] == "logreg"
    assert run.data.metrics["accuracy"] > 0.9
    curve = mlflow_store.client().get_metric_history(version.run_id, "history/loss")
    assert [(point.step, point.value) for point in curve] == [(1, 0.9), (2, 0.5)]
    kept = Path(mlflow_store.client().download_artifacts(version.run_id, "", str(project)))
    for path in (
        "model/MLmodel",
        "model/bundle/1/model.onnx",
        "evaluate/metrics.json",
        "evaluate/plots/confusion.png",
        "data/validation.json",
        "source/dvc.lock",
        "source/params.yaml",
        "source/recipe.json",
    ):
        assert (kept / path).exists(), path


def test_a_version_carries_the_batch_sizes_that_the_memory_chose_for_it_and_for_what_it_starts_from(
    sqlite_project,
):
    workspace.export()
    sized = {"family": "logreg", "dataset": workspace.DATASET, "overrides": {"batch_size": "auto"}}
    values = yaml.safe_load(Path("params.yaml").read_text())
    values |= {"models": {"first": sized}, "pretrained": {"m": sized | {"base": "first"}}}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    for name, size in (("first", 128), ("m", 64)):
        atomic.write_json(layout.trained(name) / "checkpoint.json", {"config": {"batch_size": size}})
    register.run("m")
    run = versions.find("m", 1).run_id
    kept = mlflow_store.client().download_artifacts(run, "source/batch_sizes.json", str(sqlite_project))
    assert json.loads(Path(kept).read_text()) == {"first": 128, "m": 64}


def test_a_version_of_uncommitted_files_gets_the_commit_of_its_bundle(sqlite_project):
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run([*git, "init", "-q"], check=True)
    (sqlite_project / ".gitignore").write_text("/.darkroom\n/artifacts\n")
    workspace.export()
    register.run("m")
    assert versions.find("m", 1).tags["git_dirty"] == "true"
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "all"], check=True)
    assert not register.run("m").created
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    tags = versions.find("m", 1).tags
    assert (tags["git_commit"], tags["git_dirty"]) == (head.stdout.strip(), "false")


def test_mlflow_loads_the_version_by_its_alias(sqlite_project):
    import mlflow

    workspace.export()
    register.run("m")
    mlflow.set_tracking_uri(store_address.uri())
    model = mlflow.onnx.load_model("models:/m@challenger")
    assert [node.name for node in model.graph.input] == ["image"]
    assert mlflow.models.get_model_info("models:/m@challenger").signature.inputs.input_names() == ["image"]


def test_again_gives_the_same_version(project):
    workspace.export()
    first, again = register.run("m"), register.run("m")
    assert (again.version, again.created) == (first.version, False)
    workspace.export(seed=1)
    assert register.run("m").version == 2
    assert [version.number for version in versions.model("m").versions] == [1, 2]


def test_six_at_once_in_one_workspace_give_one_version(project):
    workspace.export()
    lines = _python("-m", "tests.components.at_once", "register", "m", *[str(project)] * 6)
    assert sorted(lines) == ["1 False"] * 5 + ["1 True"]
    assert len(versions.model("m").versions) == 1


def test_six_workspaces_at_once_give_one_version(project, tmp_path_factory, monkeypatch):
    workspace.export()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_address.uri())
    monkeypatch.setenv("DARKROOM_ARTIFACTS", str(tmp_path_factory.mktemp("shared")))
    copies = [tmp_path_factory.mktemp("machine") / "project" for _ in range(6)]
    for copy in copies:
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".darkroom"))
    lines = _python("-m", "tests.components.at_once", "register", "m", *map(str, copies))
    (version,) = versions.model("m").versions
    assert {line.split()[0] for line in lines} == {str(version.number)}
    assert [line.split()[1] for line in lines].count("True") == 1
    assert len(mlflow_store.finished("darkroom/m")) == 1
    assert versions.fetch(version).sha256 == version.bundle_sha256


@pytest.mark.parametrize("moment", ["log_artifacts", "create_registered_model", "create_model_version"])
def test_killed_half_way_nothing_looks_registered_and_the_next_call_finishes(sqlite_project, moment):
    workspace.export()
    killed = (
        "import os, signal; from components import register; from components.registry import mlflow_store\n"
        f"mlflow_store.MlflowClient.{moment} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "register.run('m')"
    )
    _python("-c", killed, code=-9)
    assert versions.model("m").versions == ()
    assert mlflow_store.finished("darkroom/m") == []
    assert register.run("m").created
    (run,) = mlflow_store.client().search_runs([mlflow_store.experiment("darkroom/m")])
    assert (run.info.status, run.info.run_id) == ("FINISHED", versions.find("m").run_id)


def test_a_double_that_a_killed_loser_left_goes(sqlite_project):
    workspace.export()
    register.run("m")
    first = versions.find("m")
    run = mlflow_store.client().create_run(mlflow_store.experiment("darkroom/m"))
    mlflow_store.client().create_model_version("m", run.info.artifact_uri, run.info.run_id, tags=first.tags)
    assert register.run("m") == register.Registration("m", 1, first.bundle_sha256, False)
    assert versions.model("m").versions == (first,)


def test_the_new_version_is_challenger_until_it_is_champion(sqlite_project):
    workspace.export()
    register.run("m")
    assert versions.model("m").aliases == {"challenger": 1}
    workspace.export(seed=1)
    register.run("m")
    assert versions.model("m").aliases == {"challenger": 2}
    mlflow_store.client().set_registered_model_alias("m", "champion", "2")
    register.run("m")
    assert versions.model("m").aliases == {"champion": 2}


def test_a_changed_bundle_is_not_registered(sqlite_project):
    workspace.export()
    model = layout.bundle("m") / "1/model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(UserError, match="changed or cut"):
        register.run("m")
    assert versions.snapshot() == {}


def test_without_a_bundle_the_stage_is_named(sqlite_project):
    with pytest.raises(UserError, match="Run the export stage first"):
        register.run("m")


def test_the_bundle_of_another_model_is_refused(sqlite_project):
    workspace.export("other")
    shutil.copytree(layout.bundle("other"), layout.bundle("m"))
    with pytest.raises(UserError, match="is the bundle of 'other'"):
        register.run("m")
