"""``darkroom reproduce``: a registered version made again, the same or by how much not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.flows.pipeline import ROOT, Pipeline

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def pipeline(pipeline, monkeypatch) -> Pipeline:
    """The toy pipeline with all of it committed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    toy = pipeline.folder
    (toy / ".gitignore").write_text("artifacts/\n.darkroom/\n*.log\n.pytest_cache/\n__pycache__/\n")
    (toy / "requirements.lock").write_text(
        "pyyaml==1.0\nnumpy==1.0; python_version < '3'\nno-such-thing==7\n"
    )
    commit(pipeline)
    return pipeline


def commit(pipeline: Pipeline) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["add", "-A"], [*who, "commit", "-qm", "all"]):
        subprocess.run(["git", *arguments], cwd=pipeline.folder, check=True)


def reproduce(pipeline: Pipeline, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "flows", "reproduce", *arguments],
        cwd=pipeline.folder,
        capture_output=True,
        text=True,
    )


def test_a_version_is_made_again_from_its_own_code_data_and_parameters(pipeline, monkeypatch):
    assert pipeline.run("one").returncode == 0
    # What has changed since does not matter.
    (pipeline.folder / "noise-one").write_text("0.6")
    commit(pipeline)
    before = pipeline.log()
    done = reproduce(pipeline, "models:/one@champion")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("one version 1, of commit ")
    assert "the same again, byte for byte" in done.stdout
    assert "pyyaml" in done.stdout and "no-such-thing none is installed" in done.stdout
    assert "numpy" not in done.stdout  # that pin is for another Python
    for stage in ("prepare@shapes: restored", "train@one: ran", "evaluate@one: ran", "export@one: ran"):
        assert f"{stage}; the same bytes" in done.stderr
    assert pipeline.log() == before  # nothing ran in the workspace
    assert not list((pipeline.folder / ".darkroom/reproduce").iterdir())

    assert "trained on" not in done.stdout

    monkeypatch.setenv("BAD_LUCK", "0.7")
    monkeypatch.setenv("PROCESSOR", "another processor")
    other = reproduce(pipeline, "one/1")
    assert other.returncode == 1, other.stderr
    assert "differs" in other.stdout and "other bytes: export@one" in other.stdout
    assert "accuracy: was 1, is 0." in other.stdout
    assert "trained on: was a processor, is another processor" in other.stdout
    kept = pipeline.folder / ".darkroom/reproduce/one-1"
    assert f"kept in {kept}" in other.stdout and (kept / "artifacts/bundles/one").is_dir()
    told = json.loads(reproduce(pipeline, "one", "--json").stdout)
    assert not told["exact"] and not told["bundle"] and told["stages"]["train@one"]
    assert told["metrics"]["accuracy"][0] == 1

    with (pipeline.folder / "params.yaml").open("a") as file:
        file.write("\ntime_limits: {train: 0.001}\n")
    late = reproduce(pipeline, "one")
    assert late.returncode == 2, late.stderr
    assert (
        "train@one ran out of its 0.001 minutes, which time_limits of params.yaml can change" in late.stderr
    )


def test_what_cannot_be_had_again_is_told(pipeline):
    (pipeline.folder / "noise-one").write_text("0.1")  # not committed
    assert pipeline.run("one").returncode == 0
    dirty = reproduce(pipeline, "one")
    assert dirty.returncode == 2
    assert "was made of files that were not committed to git" in dirty.stderr
    commit(pipeline)
    again = dirty.stderr.strip().rpartition("make it again: darkroom ")[2].split()
    assert again == ["run", "--force", "one"]
    assert pipeline.run(*again[1:]).returncode == 0
    assert reproduce(pipeline, "one").returncode == 0
    assert "one: has no staging. It can be: champion" in reproduce(pipeline, "one@staging").stderr
    assert "no version 7" in reproduce(pipeline, "models:/one/7").stderr
    assert "Give NAME, NAME@champion, NAME@3 or NAME/3" in reproduce(pipeline, "a/b/c").stderr
    assert "no registered model of that name" in reproduce(pipeline, "three").stderr
