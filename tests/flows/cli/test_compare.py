"""Two versions side by side: the facts of each, the differences as the gate counts them, and nothing changed."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml

from components import gate, register
from components.datasets import slices
from components.datasets.slices import Slices
from components.project import layout
from components.registry import mlflow_store, recipe, versions
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from flows.cli import compare
from tests.components import challenge, workspace
from tests.components.conftest import answered_here, sqlite_project, sqlite_template  # noqa: F401 -- fixtures
from tests.flows.cli import command


@pytest.fixture
def call(sqlite_project, answered_here):  # noqa: F811
    app = typer.Typer()
    app.command()(compare.compare)
    return partial(command.call, app)


def _register(name: str = "m", *, config: dict | None = None, entry: dict | None = None, **settings) -> None:
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.5}}}}, names=("m", "n"))
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["models"][name] |= entry or {}
    atomic.write_text(Path("params.yaml"), yaml.safe_dump(values))
    workspace.export(name, **settings)
    if config is not None:
        atomic.write_json(layout.trained(name) / "checkpoint.json", {"config": config})
    register.run(name)


def _slice() -> None:
    ids = PreparedData(layout.prepared(workspace.DATASET)).test.ids
    dark = np.arange(len(ids)) % 2 == 0
    slices.write(
        layout.slices_file(workspace.DATASET), Slices(ids, {"dark": "luminance <= 9"}, dark[:, None])
    )


def test_two_versions_are_told_with_the_gate_s_own_differences(call):
    _slice()
    challenge.write({"night": np.arange(40)})
    _register(config={"epochs": 5, "width": 16, "loss": {"smoothing": 0.1}})
    gate.run("m")
    overrides = {"epochs": 9}
    _register(
        config={"epochs": 9, "width": 16, "loss": {"smoothing": 0.1}},
        entry={"overrides": overrides},
        noise=0.3,
        seed=1,
    )
    decision = gate.run("m")
    before = _state()
    found = json.loads(call("m@champion", "m@2", "--json"))

    assert (found["a"]["version"], found["b"]["version"]) == (1, 2)
    assert found["a"]["aliases"] == ["champion"] and found["a"]["task"] == "classification"
    assert found["settings"]["differing"] == [{"setting": "epochs", "a": 5, "b": 9}]
    assert found["settings"]["overrides"] == {"a": {}, "b": {"epochs": "9"}}
    asked = len(mlflow_store.client().get_run(versions.find("m", 1).run_id).data.params)
    assert (
        found["settings"]["equal"] == asked + 2
    )  # width and smoothing; neither has params for the overrides
    assert found["data"]["same"] and found["data"]["a"]["splits"] == workspace.SIZES
    accuracy = next(row for row in found["metrics"] if row["metric"] == "accuracy")
    assert accuracy["a"]["low"] <= accuracy["a"]["value"] <= accuracy["a"]["high"]
    checks = decision.evidence["checks"]
    gates = checks["comparison"]["evidence"]["differences"]
    assert [
        (row["metric"], row["of"], row["b"], row["a"]) for row in found["same_examples"]["differences"]
    ] == [(row["metric"], row["of"], row["candidate"], row["champion"]) for row in gates]
    assert [
        (row["difference"], row["low"], row["high"]) for row in found["same_examples"]["differences"]
    ] == [(row["value"], row["low"], row["high"]) for row in gates]
    for key in ("slices", "challenge_sets"):
        (row,), (by_gate,) = found[key], checks[key]["evidence"]["slices"]
        assert row["difference"] == by_gate["difference"] and row["difference"]["value"] < 0
    assert found["gate"]["a"]["verdict"] == "promoted" and found["gate"]["b"]["verdict"] == "refused"
    assert found["graph"]["a"]["bytes"] > 0 and found["graph"]["a"]["median_latency_ms"] > 0
    told = call("m", "m@2")
    assert "Settings: 1 differ" in told and "9 *" in told and "The gate on B: refused" in told
    assert _state() == before


def _state() -> tuple:
    """Return what the registry and the workspace hold."""
    registry = {name: (model.versions, model.aliases) for name, model in sorted(versions.snapshot().items())}
    runs = [
        len(mlflow_store.client().search_runs([experiment.experiment_id]))
        for experiment in mlflow_store.client().search_experiments()
    ]
    return registry, runs, sorted(map(str, Path("artifacts").rglob("*"))), Path("params.yaml").read_bytes()


def test_versions_that_were_made_of_other_data_or_before_recipes_were_kept(call, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(recipe, "keep", lambda *_: None)
        _register()
    spec = layout.prepared(workspace.DATASET) / "spec.json"
    atomic.write_json(spec, json.loads(spec.read_text()) | {"sha256": "d" * 64})
    _register("n", seed=1, config={"epochs": 9})
    found = json.loads(call("m@1", "n@1", "--json"))
    assert not found["data"]["same"] and found["data"]["a"]["splits"] is None
    assert not found["settings"]["resolved"] and found["gate"] == {"a": None, "b": None}
    assert found["same_examples"]["differences"][0]["examples"] == workspace.SIZES["test"]
    assert "was not kept of both" in call("m@1", "n@1")


def test_other_tasks_are_told_and_the_rest_is_shown(call):
    _register()
    workspace.write_params({}, names=("n",), task="density")
    workspace.export("n", task="density")
    register.run("n")
    told = call("m@1", "n@1")
    assert "They cannot be asked the same examples: they have other task" in told
    assert "classification, logreg" in told and "density, gmm" in told


def test_without_the_data_both_are_told_apart_all_the_same(call):
    _register()
    _register(seed=1)
    shutil.rmtree(layout.prepared(workspace.DATASET))
    found = json.loads(call("m@1", "m@2", "--json"))
    assert "Run the prepare stage" in found["same_examples"]["why_not"]
    assert found["metrics"][0]["b"]["value"] > 0.5


def test_mistakes_are_told(call):
    _register()
    _register(seed=1)
    for arguments, told in (
        (("m@1", "m@9"), "m: has no version 9"),
        (("m@1", "q@1"), "q: no registered model of that name"),
        (("m@1", "m/1"), "m version 1: is both of them"),
        (("m@", "m@1"), "m@: names no model"),
    ):
        with pytest.raises(UserError, match=told):
            call(*arguments)
    run = versions.find("m", 1).run_id
    shutil.rmtree(next(Path(".darkroom/mlflow/artifacts").glob(f"*/{run}/artifacts/model/bundle")))
    with pytest.raises(UserError, match="m version 1: its bundle"):
        call("m@1", "m@2")


def test_generators_are_compared_by_the_present_judge_whoever_measured_them(call):
    workspace.write_params({}, task="generation")
    for seed, noise in enumerate((0.0, 0.2)):
        workspace.judge(seed)
        workspace.export(task="generation", noise=noise)
        register.run("m")
    told = call("m@1", "m@2")
    assert "by different judges: they do not compare" in told
    assert "paired 95 % interval" in told
