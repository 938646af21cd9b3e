"""The store is found, or its absence is told within seconds."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from components.registry import mlflow_store
from data.errors import UserError

ROOT = Path(__file__).parents[3]


def test_the_default_store_is_embedded(sqlite_project):
    mlflow_store.experiment("e")
    assert (sqlite_project / ".darkroom/mlflow/mlflow.db").exists()
    run_id = mlflow_store.client().create_run(mlflow_store.experiment("e")).info.run_id
    mlflow_store.client().log_text(run_id, "text", "file.txt")
    assert list((sqlite_project / ".darkroom/mlflow/artifacts/e").rglob("file.txt"))
    assert not (sqlite_project / "mlruns").exists()


def test_a_process_killed_while_it_makes_the_store_leaves_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    program = "from components.registry import mlflow_store; mlflow_store.client()"
    making = subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )
    store = tmp_path / ".darkroom/mlflow"
    # Its tables are there one after the other; that takes a second.
    while making.poll() is None and not any(
        file.stat().st_size > 50_000 for file in store.rglob("mlflow.db")
    ):
        time.sleep(0.005)
    making.kill()
    assert making.wait() == -signal.SIGKILL
    assert not (store / "mlflow.db").exists()
    assert mlflow_store.client().search_experiments()


@pytest.mark.parametrize("module", ["ledger", "version_record"])
def test_mlflow_logs_nothing_that_people_need_not_read(module):
    """Also where the module that is imported first imports MLflow before anything of ours."""
    program = f"import components.registry.{module}, logging; print(logging.getLogger('mlflow').getEffectiveLevel())"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == logging.WARNING


def test_nothing_reports_home():
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def _silent_port():
    """Accepts connections and never says a word, like a server whose database hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def _failing_server(status: int):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(status)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _refusal(address: str, monkeypatch) -> str:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    started = time.monotonic()
    with pytest.raises(UserError) as refused:
        mlflow_store.client()
    assert time.monotonic() - started < 15
    return str(refused.value)


def test_a_server_that_is_down_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no answer" in _refusal(f"http://127.0.0.1:{_closed_port()}", monkeypatch)


def test_a_server_that_hangs_is_told_within_seconds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with _silent_port() as port:
        assert "no answer" in _refusal(f"http://127.0.0.1:{port}", monkeypatch)


@pytest.mark.parametrize(
    ("status", "told"), [(500, "Is its database up?"), (401, "MLFLOW_TRACKING_USERNAME")]
)
def test_a_server_that_refuses_is_told_with_the_mend(status, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with _failing_server(status) as port:
        assert told in _refusal(f"http://127.0.0.1:{port}", monkeypatch)


def test_a_database_that_is_down_is_told_without_its_password(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Without a driver it is the one that is installed.
    told = _refusal(f"postgresql://me:secret@127.0.0.1:{_closed_port()}/darkroom", monkeypatch)
    assert "cannot be used" in told and "psycopg2" not in told
    assert "secret" not in told


def test_a_database_that_hangs_is_told_within_seconds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with _silent_port() as port:
        told = _refusal(f"postgresql+psycopg://me@127.0.0.1:{port}/darkroom", monkeypatch)
    assert "cannot be used" in told


def test_an_unknown_kind_of_store_gets_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "Did you mean 'postgresql'" in _refusal("postgres://me@host/darkroom", monkeypatch)


def test_a_deleted_experiment_is_brought_back_by_what_is_told(project):
    number = mlflow_store.experiment("darkroom/m")
    mlflow_store.client().delete_experiment(number)
    with pytest.raises(UserError, match=f"experiments restore --experiment-id {number}") as told:
        mlflow_store.experiment("darkroom/m")
    command = str(told.value).partition("Bring it back: ")[2]
    subprocess.run(command, shell=True, check=True, cwd=project, capture_output=True, timeout=300)
    assert mlflow_store.experiment("darkroom/m") == number
    assert not list(project.glob("ml*"))


def test_the_command_names_the_driver_and_no_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:secret@db/mlflow")
    told = subprocess.run(
        f"echo {mlflow_store._command().split()[0]}", shell=True, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "MLFLOW_TRACKING_URI=postgresql+psycopg://ada:secret@db/mlflow"
    assert "secret" not in mlflow_store._command()


def test_an_unfinished_run_is_filled_again(project):
    with pytest.raises(RuntimeError), mlflow_store.whole_run("e", "key", "title", {}) as first:
        raise RuntimeError
    assert mlflow_store.finished("e") == []
    with mlflow_store.whole_run("e", "key", "title", {}) as second:
        pass
    assert second == first
    assert [run.info.run_id for run in mlflow_store.finished("e")] == [first]
