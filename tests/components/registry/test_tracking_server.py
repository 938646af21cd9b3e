"""The whole way of a version on a real tracking server, which keeps the artifacts: one URL and nothing else is set."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components import gate, register
from components.project.layout import STATE
from components.project.sections import GcPolicy
from components.promotion import champion
from components.registry import ledger, mlflow_store, removal, retention, versions
from tests.components import workspace


@pytest.fixture
def server(tmp_path, monkeypatch) -> Path:
    """A server on a free port, and a workspace as the working directory that knows its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    kept = tmp_path / "server"
    kept.mkdir()
    store = [
        "--backend-store-uri",
        f"sqlite:///{kept}/mlflow.db",
        "--artifacts-destination",
        str(kept / "artifacts"),
    ]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *store]
    with (kept / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(port, process, kept / "log")
        project = tmp_path / "project"
        project.mkdir()
        monkeypatch.chdir(project)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        workspace.make(project)
        yield kept
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"the tracking server did not start: {log.read_text()}")


@pytest.mark.slow
def test_a_tracking_server_holds_versions_bundles_and_decisions(server, capfd):
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.5}}}})
    workspace.export(noise=0.02)
    assert (register.run("m").created, register.run("m").created) == (True, False)
    assert gate.run("m").verdict == "promoted"
    workspace.export(noise=0.6, seed=1)
    register.run("m")
    refused = gate.run("m")
    assert (refused.verdict, gate.run("m")) == ("refused", refused)
    workspace.export(seed=2)
    register.run("m")
    assert gate.run("m").verdict == "promoted"
    assert versions.model("m").aliases == {"champion": 3, "previous": 1}
    assert champion.rollback("m", by="ada")[0].number == 1
    assert [entry.kind for entry in ledger.history("m")].count("decision") == 3
    assert list(server.rglob("model.onnx"))
    assert not (STATE / "mlflow").exists()
    model, policy, now_ms = versions.model("m"), GcPolicy(keep_versions=1, keep_days=0), 1 << 42
    runs, found = mlflow_store.settled("darkroom/m"), retention.of(model, ledger.history("m"), policy, now_ms)
    assert min(removal.sizes(runs)) > 0
    removal.remove(model, found.gone(model), removal.unneeded(runs, model, found, policy, now_ms), policy)
    assert [version.number for version in versions.model("m").versions] == [1, 3]
    assert len(list(server.rglob("model.onnx"))) == 2
    assert capfd.readouterr().out == "", "MLflow printed into what scripts read"
