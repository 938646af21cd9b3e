"""The retrain flow from the terminal: what runs, what does not, and what a signal leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from flows.prefect_api import crashed_runs
from tests.components.alerts.receiver import Receiver
from tests.flows import prefect_record
from tests.flows.pipeline import kill_9, steps

pytestmark = pytest.mark.usefixtures("prefect")


def test_from_nothing_to_champions_then_nothing_to_do(pipeline):
    first = pipeline.run()
    assert first.returncode == 0, first.stderr
    assert sorted(pipeline.done()) == sorted(steps("one", "two"))
    assert pipeline.dvc_status() == "Data and pipelines are up to date."
    rows = pipeline.rows()
    assert {name: (row["verdict"], row["version"]) for name, row in rows.items()} == {
        "one": ("champion", 1),
        "two": ("champion", 1),
    }
    again = pipeline.run()
    assert again.returncode == 0
    assert "Everything is up to date." in again.stderr
    assert len(pipeline.done()) == len(steps("one", "two"))
    assert "accuracy" in again.stdout

    # One model's file changes: only its stages run. The worse challenger is refused, and the run says by how much.
    (pipeline.folder / "noise-two").write_text("0.6")
    worse = pipeline.run()
    assert worse.returncode == 0, worse.stderr
    assert pipeline.done()[len(steps("one", "two")) :] == ["train@two", "evaluate@two", "export@two"]
    assert "two was refused; champion stays version 1" in worse.stdout
    assert pipeline.rows()["two"]["version"] == 2
    assert pipeline.rows()["two"]["champion"] == 1


def test_kill_9_in_every_stage_and_the_same_command_goes_on(pipeline):
    expected: list[str] = []
    for step in steps("one"):
        gate = pipeline.hold(step)
        process = pipeline.start("one")
        pipeline.wait_for(step, process)
        kill_9(process)
        assert pipeline.wait_until_quiet() == []
        assert pipeline.done() == expected
        assert pipeline.partial_files() == []
        gate.unlink()
        (pipeline.folder / "ran.log").write_text("".join(f"done {done}\n" for done in expected))
        expected.append(step)
    last = pipeline.run("one")
    assert last.returncode == 0, last.stderr
    assert pipeline.done() == steps("one")
    assert _unfinished_runs() == 0


def test_kill_9_takes_the_embedded_prefect_server_along(pipeline, prefect_database):
    pipeline.hold("ingest@shapes")
    process = pipeline.start("one")
    pipeline.wait_for("ingest@shapes", process)
    assert pipeline.prefect_server().is_running()
    kill_9(process)
    assert pipeline.wait_until_quiet() == []


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_kill_stop_the_children_too(pipeline, sent, status):
    pipeline.hold("prepare@shapes")
    process = pipeline.start()
    pipeline.wait_for("prepare@shapes", process)
    process.send_signal(sent)
    told = process.communicate(timeout=60)[0]
    assert process.returncode == status, told
    assert told.count("What is done is kept") == 1
    assert pipeline.wait_until_quiet() == []
    assert pipeline.done() == steps()[:2]


def test_a_failure_stops_what_depends_on_it_and_nothing_else_and_people_are_told(pipeline, monkeypatch):
    receiver = Receiver()
    monkeypatch.setenv("HOOK", receiver.url)
    with (pipeline.folder / "params.yaml").open("a") as settings:
        settings.write("alerts: {to: {team: {url: '${HOOK}'}}}\n")
    (pipeline.folder / "fail-train@one").write_text(
        "error: params.yaml: models.one.overrides.depht: unknown. Did you mean 'depth'?"
    )
    failed = pipeline.run()
    assert failed.returncode == 1
    assert (
        "train@one: params.yaml: models.one.overrides.depht: unknown. Did you mean 'depth'?" in failed.stderr
    )
    assert failed.stderr.count("unknown. Did you mean 'depth'?") == 2  # at once, and at the end
    assert "Traceback" not in failed.stderr + failed.stdout
    assert pipeline.done()[-3:] == ["train@two", "evaluate@two", "export@two"]
    assert not any("@one" in done for done in pipeline.done())
    receiver.stop()
    assert receiver.titles == ["Darkroom: train@one failed", "Darkroom: two version 1 became champion"]
    assert "Did you mean 'depth'?" in receiver.messages[0]["message"]


def test_the_gate_is_asked_only_where_the_labels_are_good(pipeline):
    labels = "  labels:\n    foreach: ${datasets}\n    do:\n      cmd: python -m tests.flows.toy_stage labels ${key}\n"
    labels += '      deps: ["artifacts/data/${key}/prepared"]\n      outs: ["artifacts/data/${key}/labels"]\n'
    with (pipeline.folder / "dvc.yaml").open("a") as stages:
        stages.write(labels)
    bad = pipeline.folder / "fail-labels@shapes"
    bad.write_text("error: too many labels are likely wrong\n")
    refused = pipeline.run("one")
    assert refused.returncode == 1
    assert "labels@shapes: too many labels are likely wrong" in refused.stderr
    assert sorted(pipeline.done()) == sorted(steps("one"))  # trained all the same
    assert "champion" not in refused.stdout
    bad.unlink()
    assert pipeline.run("one").returncode == 0
    assert pipeline.rows()["one"]["verdict"] == "champion"


def test_a_second_run_in_the_same_folder_is_refused(pipeline):
    pipeline.hold("ingest@shapes")
    process = pipeline.start()
    pipeline.wait_for("ingest@shapes", process)
    second = pipeline.run()
    assert second.returncode == 2
    assert "another `darkroom run`" in second.stderr
    kill_9(process)
    assert pipeline.wait_until_quiet() == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("family: logreg", "family: logrge"),
            "models.one.family: no family 'logrge'. Did you mean 'logreg'?",
        ),
        (
            ("dataset: shapes\n    family", "datasett: shapes\n    family"),
            "models.one.datasett: unknown key. Did you mean 'dataset'?",
        ),
        (
            ("accuracy:", "acuracy:"),
            "gate.one.thresholds.acuracy: classification has no such metric. Did you mean 'accuracy'?",
        ),
    ],
)
def test_a_mistake_in_params_stops_before_anything_starts(pipeline, change, told):
    params = pipeline.folder / "params.yaml"
    text = params.read_text()
    assert change[0] in text
    params.write_text(text.replace(*change, 1))
    failed = pipeline.run()
    assert failed.returncode == 2
    assert told in failed.stderr
    assert pipeline.log() == []


@pytest.mark.slow  # tests/test_pipeline.py clones and pulls in every run of the tests
def test_a_clone_pulls_everything_and_is_clean(pipeline, tmp_path_factory):
    assert pipeline.run().returncode == 0
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    (pipeline.folder / ".gitignore").write_text("/artifacts\n/.darkroom\n/ran.log\n/.remote\n")
    subprocess.run([*git, "add", "-A"], cwd=pipeline.folder, check=True)
    subprocess.run([*git, "commit", "-qm", "run"], cwd=pipeline.folder, check=True)
    clone = tmp_path_factory.mktemp("clones") / "clone"
    subprocess.run(["git", "clone", "-q", pipeline.folder, clone], check=True)
    subprocess.run(
        ["dvc", "remote", "modify", "--local", "r", "url", pipeline.folder / ".remote"], cwd=clone, check=True
    )
    subprocess.run(["dvc", "pull", "-q"], cwd=clone, check=True)
    status = subprocess.run(["dvc", "status"], cwd=clone, check=True, capture_output=True, text=True)
    assert status.stdout.strip() == "Data and pipelines are up to date."


def _unfinished_runs() -> int:
    """Return how many flow runs of this folder Prefect believes are going on."""
    known = prefect_record.runs(
        os.environ["PREFECT_API_URL"], flow_runs={"tags": {"all_": [crashed_runs.workspace_tag()]}}
    )
    assert len(known) > 1
    return sum(run["state_type"] in ("RUNNING", "PENDING") for run in known)


def test_models_of_any_name_have_a_key_in_prefect():
    from prefect.client.schemas.actions import ArtifactCreate

    from flows.retrain import artifact_key

    names = ("digits-cnn", "my_model", "my-model", "My-Model", "größe")
    keys = [ArtifactCreate(key=f"bundle-{artifact_key(name)}").key for name in names]
    assert keys[0] == "bundle-digits-cnn" and len(set(keys)) == len(names)
