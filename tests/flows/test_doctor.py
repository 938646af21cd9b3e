"""``darkroom doctor``: what is wrong is named with how to mend it; one fault hides no other."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from flows import doctor
from flows.cli.app import app
from flows.cli.doctor import doctor as command
from flows.processes import locks
from flows.workspace import pins

app.command("doctor")(command)


@pytest.fixture
def project(pipeline, monkeypatch):
    """The toy pipeline with all of it committed, on a machine without a GPU."""
    toy = pipeline.folder
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (toy / ".gitignore").write_text("artifacts/\n.darkroom/\n")
    (toy / "requirements.lock").write_text("")
    subprocess.run(["git", "add", "-A"], cwd=toy, check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all"], cwd=toy, check=True
    )
    return toy


def found() -> dict[str, list[doctor.Finding]]:
    findings: dict[str, list[doctor.Finding]] = {}
    for finding in doctor.examine():
        findings.setdefault(finding.about, []).append(finding)
    return findings


def test_a_sound_project(project):
    assert {finding.state for findings in found().values() for finding in findings} <= {"good", "note"}
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output
    told = {entry["about"]: entry["says"] for entry in json.loads(done.output)}
    assert told["params.yaml"] == "2 models, 1 data sets, 0 schedules"
    assert "9 of 9 stages are not up to date; remote r: " in told["dvc"]
    assert told["gpu"].startswith("none")


def test_each_fault_is_named_with_its_mend(project, monkeypatch):
    shutil.rmtree(project / ".git")
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    params = yaml.safe_load((project / "params.yaml").read_text())
    del params["gate"]["two"]
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    (project / "requirements.lock").write_text("pyyaml==1.0\n")
    with (project / ".dvc/config").open("a") as config:
        config.write("[cache]\n    type = symlink\n")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setattr(doctor, "ROOM_GB", 10**9)
    held = locks.hold(locks.RUN)
    findings = found()
    held.release()
    bad = {about for about, these in findings.items() if any(finding.state == "bad" for finding in these)}
    assert bad == {"git", "dvc", "prefect", "mlflow", "disk"}
    assert findings["dvc"][0].mend == "dvc config cache.type reflink,copy"
    assert "pyyaml" in findings["libraries"][0].says
    assert "gate.two: no thresholds" in findings["params.yaml"][1].says
    assert "PREFECT_API_URL=http://127.0.0.1:1/api: no answer" in findings["prefect"][0].says
    assert "MLFLOW_TRACKING_URI=http://127.0.0.1:1" in findings["mlflow"][0].says
    assert findings["locks"][0].says == "a run goes on in this folder"

    (project / "params.yaml").write_text("models: [")
    assert found()["params.yaml"][0].state == "bad"
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 1


def test_pins_are_read_for_this_machine(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("PyYAML==1.0\nnumpy==1.0 ; python_version < '3'\nno_such-thing==7\n")
    assert [(name, then) for name, then, _ in pins.others(lock)] == [
        ("PyYAML", "1.0"),
        ("no_such-thing", "7"),
    ]
    assert pins.others(lock)[1][2] == "none"


def test_a_deleted_ledger_is_found_where_status_finds_it(project):
    from components.registry import ledger, mlflow_store

    ledger.history()
    deleted = mlflow_store.client().get_experiment_by_name(ledger.EXPERIMENT).experiment_id
    mlflow_store.client().delete_experiment(deleted)
    (finding,) = found()["mlflow"]
    assert (finding.state, "experiments restore" in finding.says) == ("bad", True)


def test_a_moved_project_is_told_and_goes_on(project, monkeypatch):
    from components.registry import ledger

    ledger.history()
    moved = project.rename(project.with_name(f"{project.name}-moved"))
    monkeypatch.chdir(moved)
    told, good = found()["mlflow"]
    assert (told.state, good.state) == ("note", "good")
    assert told.says.startswith(f"the project was in {project}: ")
    assert [finding.state for finding in found()["mlflow"]] == ["good"]


def test_artifacts_and_bundles_out_of_reach_are_told(project, sqlite_template, tmp_path_factory, monkeypatch):
    from components.registry import ledger, mlflow_store

    team = tmp_path_factory.mktemp("team")
    shutil.copy(sqlite_template, team / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{team}/mlflow.db")
    ledger.history()
    client = mlflow_store.client()
    client.create_experiment("darkroom/one", str(team / "first/.darkroom/mlflow/artifacts/darkroom-one"))
    client.create_registered_model("one")
    run = client.create_run(client.get_experiment_by_name("darkroom/one").experiment_id).info.run_id
    client.create_model_version("one", "/nowhere", run, tags={"bundle_sha256": "1" * 64})
    client.set_registered_model_alias("one", "champion", "1")
    _, here, elsewhere, bundle = found()["mlflow"]
    assert (here.state, elsewhere.state, bundle.state) == ("note", "bad", "bad")
    assert here.says.startswith("1 of 2 experiments keep artifacts in this folder")
    assert f"in a folder of another project or machine: {team}/first" in elsewhere.says
    assert "DARKROOM_ARTIFACTS" in elsewhere.mend
    assert bundle.says.startswith("one version 1: its bundle cannot be downloaded")


def test_a_fork_server_that_is_turned_off_is_named(monkeypatch):
    assert not list(doctor._fork_server())
    monkeypatch.setenv("DARKROOM_FORK_SERVER", "0")
    (finding,) = doctor._fork_server()
    assert (finding.state, finding.mend) == ("note", "unset DARKROOM_FORK_SERVER")
