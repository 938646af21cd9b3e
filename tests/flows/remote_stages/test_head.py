"""A run whose stages are in private workspaces: what it makes is what a local one makes, and all of it is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from flows.remote_stages.workspace import VARIABLE
from tests.flows.pipeline import ROOT, Pipeline, kill_9, steps

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def pipeline(pipeline, monkeypatch) -> Pipeline:
    """The toy pipeline, with a folder for its workers; a stage elsewhere finds the toy stages."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv(VARIABLE, str(pipeline.folder / ".darkroom/workers"))
    ignored = "/artifacts/\n.darkroom/\n.remote/\n*.log\nsleep-*\nwait-*\n"
    (pipeline.folder / ".gitignore").write_text(ignored)
    return pipeline


def left(pipeline: Pipeline) -> list[str]:
    """Return what workers left in their folder, and what the head left on the remote beside DVC's own."""
    work = pipeline.folder / ".darkroom/workers/work"
    own = pipeline.folder / ".remote/darkroom"
    found = [path for path in work.iterdir() if path.suffix != ".lock" and path.name != "lock"]
    found += [
        path for folder in ("snapshots", "resume") for path in (own / folder).rglob("*") if path.is_file()
    ]
    return [str(path) for path in found]


def outs(pipeline: Pipeline) -> dict:
    return yaml.safe_load((pipeline.folder / "dvc.lock").read_text())["stages"]


def test_workers_make_what_a_local_run_makes(pipeline):
    first = pipeline.run("--engine", "isolated", "one")
    assert first.returncode == 0, first.stderr
    assert "champion" in first.stdout
    assert sorted(pipeline.done()) == sorted(steps("one"))
    stale = pipeline.dvc_status()  # of the model that was not asked for, nothing else
    assert "@two" in stale and "@one" not in stale and "@shapes" not in stale
    assert left(pipeline) == []
    assert json.loads((pipeline.folder / ".darkroom/timing/one.json").read_text())["processor"]
    recorded = outs(pipeline)

    # The outs are in the cache here: no worker is asked for them.
    (pipeline.folder / "artifacts/models/one/train/model.safetensors").unlink()
    again = pipeline.run("--engine", "isolated", "one")
    assert again.returncode == 0, again.stderr
    assert "train@one: restored" in again.stderr
    assert len(pipeline.done()) == len(steps("one"))

    # A local run by force makes the same bytes.
    assert pipeline.run("--force", "one").returncode == 0
    assert pipeline.done()[len(steps("one")) :] == ["train@one", "evaluate@one", "export@one"]
    assert outs(pipeline) == recorded


def test_a_head_that_is_killed_goes_on(pipeline):
    with (pipeline.folder / "params.yaml").open("a") as params:
        params.write("engine: isolated\n")
    hold = pipeline.hold("train@one")
    process = pipeline.start("one")
    pipeline.wait_for("train@one", process)
    kill_9(process)
    assert pipeline.wait_until_quiet() == []
    hold.unlink()
    last = pipeline.run("one")
    assert last.returncode == 0, last.stderr
    assert sorted(pipeline.done()) == sorted(steps("one"))
    assert left(pipeline) == []


def test_a_stage_that_fails_elsewhere_says_why_as_one_here_does(pipeline):
    (pipeline.folder / "fail-train@one").write_text("error: params.yaml: models.one: it is wrong.\n")
    failed = pipeline.run("--engine", "isolated", "one")
    assert failed.returncode == 1
    assert "train@one: params.yaml: models.one: it is wrong." in failed.stderr
    assert pipeline.log().count("began train@one") == 1
    assert Path(pipeline.folder, failed.stderr.rpartition("Log: ")[2].split()[0]).exists()


def test_an_engine_that_is_none_is_told(pipeline):
    wrong = pipeline.run("--engine", "isolate", "one")
    assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (
        2,
        "error: --engine: no engine 'isolate'. Did you mean 'isolated'? It can be: isolated, local, ray://HEAD:10001.",
    )
