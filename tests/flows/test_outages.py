"""A run outlives a registry and a remote that go away for a while, and pays later what it could not push."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from components.registry import mlflow_store
from data.errors import UserError
from flows import run
from tests.flows import remotes
from tests.flows.door import Door
from tests.flows.remotes import DVC

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def bucket(pipeline, tmp_path_factory, monkeypatch) -> Iterator[Door]:
    """The door to the S3 server that holds the pipeline's remote."""
    with remotes.s3(tmp_path_factory.mktemp("s3")) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        door = Door(urlsplit(server.settings["endpointurl"]).port)
        endpoint = ["endpointurl", f"http://127.0.0.1:{door.port}"]
        for setting in (["url", f"{server.url}/{pipeline.folder.name}"], endpoint):
            subprocess.run([DVC, "remote", "modify", "r", *setting], check=True, capture_output=True)
        yield door
        door.shut()


@pytest.mark.slow
def test_a_database_and_a_remote_that_go_away_and_come_back(pipeline, bucket, postgres_server, monkeypatch):
    database = f"outage_{uuid.uuid4().hex[:8]}"
    postgres_server.execute(f"CREATE DATABASE {database} TEMPLATE template")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres_server.address(database))
    hold = pipeline.hold("export@one")
    process = pipeline.start("one")
    pipeline.wait_for("export@one", process)
    postgres_server.go_away()
    bucket.shut()
    try:
        hold.unlink()
        _wait_for_line(process, "register@one: failed")
    finally:
        postgres_server.start()
    _wait_for_line(process, "push: failed")
    bucket.open()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "champion" in output
    assert _in_remote(pipeline.folder) == "Cache and remote 'r' are in sync."


def test_a_push_that_failed_is_owed_and_paid(pipeline):
    remote = pipeline.folder / ".remote"
    remote.write_text("no folder")
    failed = pipeline.run("one")
    assert failed.returncode == 1
    assert "push: .dvc/config: the DVC remote took no push: ERROR:" in failed.stderr
    remote.unlink()
    paid = pipeline.run("one")
    assert paid.returncode == 0, paid.stderr
    assert "up to date" not in paid.stderr
    assert "push: ran" in paid.stderr
    assert _in_remote(pipeline.folder) == "Cache and remote 'r' are in sync."
    assert "Everything is up to date." in pipeline.run("one").stderr


def test_a_registry_that_is_gone_at_the_end_is_told_after_the_steps(monkeypatch):
    def rows(models):
        raise mlflow_store.MlflowException("no route to the database", error_code=TEMPORARILY_UNAVAILABLE)

    monkeypatch.setattr(run.summary, "rows", rows)
    with pytest.raises(
        UserError, match=r"^Every step went well, but .* no route to the database The table: "
    ):
        run._rows(["one"])


def _wait_for_line(process: subprocess.Popen, text: str) -> None:
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"the run ended without {text!r}")


def _in_remote(folder: Path) -> str:
    done = subprocess.run([DVC, "status", "--cloud"], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
