"""``darkroom reproduce``: a registered version made again, the same or by how much not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from components.project import batch_size, git
from components.registry import reference, versions
from data.errors import UserError
from flows import reproduction
from flows.cli.app import whole
from flows.cli.reproduce import told
from flows.reproduction import Reproduction
from tests.flows import command_server
from tests.flows.cli.command import call
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
        command_server.command("reproduce", *arguments),
        cwd=pipeline.folder,
        capture_output=True,
        text=True,
    )


def test_a_version_is_made_again_from_its_own_code_data_and_parameters(pipeline, monkeypatch):
    with Path("params.yaml").open("a") as file:
        file.write("\ngc: {keep_versions: 1, keep_days: 0}\n")
    assert pipeline.run("one").returncode == 0
    assert " gone, " in call(whole(), "gc")  # logs of the run, at least
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
    other = reproduce(pipeline, "one/1", "--json")
    assert other.returncode == 1, other.stderr
    made = json.loads(other.stdout)
    assert not made.pop("exact") and not made["bundle"] and made["stages"]["train@one"]
    assert made["metrics"]["accuracy"][0] == 1
    text = told(Reproduction(**made))
    assert "differs" in text and "other bytes: export@one" in text
    assert "accuracy: was 1, is 0." in text
    assert "trained on: was a processor, is another processor" in text
    kept = pipeline.folder / ".darkroom/reproduce/one-1"
    assert f"kept in {kept}" in text and (kept / "artifacts/bundles/one").is_dir()

    with (pipeline.folder / "params.yaml").open("a") as file:
        file.write("\ntime_limits: {train: 0.001}\n")
    late = reproduce(pipeline, "one")
    assert late.returncode == 2, late.stderr
    assert (
        "train@one ran out of its 0.001 minutes, which time_limits of params.yaml can change" in late.stderr
    )


def test_a_batch_size_that_the_memory_chose_comes_with_the_version(pipeline, tmp_path, monkeypatch):
    source, folder = tmp_path / "source", tmp_path / "again"
    source.mkdir()
    (source / "dvc.lock").touch()
    (source / "params.yaml").touch()
    (source / "batch_sizes.json").write_text('{"one": 64, "first": 128}')
    project = reproduction._check_out(git.ask("rev-parse", "HEAD"), folder, source)
    monkeypatch.chdir(project)
    assert [batch_size.kept(name, "what it is made for") for name in ("one", "first", "two")] == [
        64,
        128,
        None,
    ]


def test_what_cannot_be_had_again_is_told(pipeline):
    (pipeline.folder / "noise-one").write_text("0.1")  # not committed
    assert pipeline.run("one").returncode == 0
    with pytest.raises(UserError, match="was made of files that were not committed to git") as caught:
        call(whole(), "reproduce", "one")
    commit(pipeline)
    again = str(caught.value).rpartition("make it again: darkroom ")[2].split()
    assert again == ["run", "--force", "one"]
    assert pipeline.run(*again[1:]).returncode == 0
    assert versions.resolve(reference.parse("one")).tags["git_dirty"] == "false"
    for asked, said in {
        "one@staging": "one: has no staging. It can be: champion",
        "models:/one/7": "no version 7",
        "a/b/c": "Give NAME, NAME@champion, NAME@3 or NAME/3",
        "three": "no registered model of that name",
    }.items():
        with pytest.raises(UserError, match=said):
            call(whole(), "reproduce", asked)
