"""Prefect keeps the record of a run: what goes wrong with it is told, and never decides how the run went."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data.errors import UserError
from flows.prefect_api import crashed_runs, server
from tests.flows import prefect_record
from tests.flows.pipeline import ROOT, steps

FIRST = "ingest@shapes"


def test_a_server_that_dies_in_a_run_changes_nothing_of_it(pipeline, prefect_database, monkeypatch):
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")  # the wait for them is what is bounded
    hold = pipeline.hold(FIRST)
    process = pipeline.start("one", "--json")
    pipeline.wait_for(FIRST, process)
    pipeline.prefect_server().kill()
    hold.unlink()
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    assert pipeline.done() == steps("one")
    assert output.count("Prefect's API did not answer at the end, so its record is not whole: ") == 1
    assert '"verdict": "champion"' in output
    assert "Traceback" not in output
    assert "EventsWorker" not in output


def test_a_run_that_is_cancelled_through_the_api_stops(pipeline, prefect):
    hold = pipeline.hold(FIRST)
    process = pipeline.start("one")
    pipeline.wait_for(FIRST, process)
    api = os.environ["PREFECT_API_URL"]
    mine = {"tags": {"all_": [crashed_runs.workspace_tag()]}}
    (run,) = prefect_record.runs(api, flow_runs=mine)
    assert run["state_type"] == "RUNNING"
    prefect_record.cancel(api, run)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "run: it was cancelled through Prefect's API. What is done is kept" in output
    assert "Traceback" not in output
    assert pipeline.wait_until_quiet() == []
    assert pipeline.done() == []
    assert [run["state_type"] for run in prefect_record.runs(api, flow_runs=mine)] == ["CANCELLED"]
    hold.unlink()


def test_a_database_that_was_cut_is_moved_aside(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    database = tmp_path / "prefect.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE run (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO run (name) VALUES (?)", [("a" * 100,)] * 1000)
    connection.close()
    server._set_damaged_aside(database)
    assert database.exists()
    content = database.read_bytes()[: database.stat().st_size // 2]
    database.write_bytes(content)
    server._set_damaged_aside(database)
    (aside,) = tmp_path.glob("prefect.db*")
    assert aside.read_bytes() == content
    assert f"{database}: is damaged" in capsys.readouterr().err


def test_a_database_whose_making_was_killed_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    database = tmp_path / ".darkroom/prefect/prefect.db"
    with server.api():
        making = server._own[-1]
        making.kill()
        making.wait()
    # As it is left between two migrations: a table is there, and nothing says that it is.
    for file in database.parent.glob("prefect.db-*"):
        file.unlink()
    database.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE flow (id TEXT)")
    with server.api():
        server.wait()
    made = database.stat().st_ino
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall()
    server._forget_unfinished(database.parent)
    assert database.stat().st_ino == made, "what is whole stays"


def test_an_own_server_that_cannot_start_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    (tmp_path / "home/prefect.db/a-folder").mkdir(parents=True)
    monkeypatch.setattr(server, "_set_damaged_aside", lambda _: None)
    with (
        server.api(),
        pytest.raises(UserError, match=r"home/server\.log: Prefect's server ended as it started: ."),
    ):
        server.wait()


@pytest.mark.parametrize(("status", "seconds"), [(500, 0), (200, 0), (200, 60)])
def test_an_api_that_is_healthy_and_then_fails_is_told_in_time(tmp_path, status, seconds):
    """With status 200 it is another service, or one that hangs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(200, b"true")

        def do_POST(self):
            over.wait(seconds)
            self.answer(status, b"{}")

        def answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    over = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as api:
        threading.Thread(target=api.serve_forever, daemon=True).start()
        script = (
            "from flows.prefect_api import server\n"
            "server._set_defaults()\n"
            "server.wait()\n"
            "from flows.prefect_api.crashed_runs import mark_crashed\n"
            "mark_crashed('tag')"
        )
        url = f"http://127.0.0.1:{api.server_port}/api"
        bounds = {"PREFECT_API_URL": url, "PREFECT_HOME": str(tmp_path), "PREFECT_API_REQUEST_TIMEOUT": "1"}
        command = [sys.executable, "-c", script]
        done = subprocess.run(
            command, env={**os.environ, **bounds}, capture_output=True, text=True, timeout=60, cwd=ROOT
        )
        over.set()
        api.shutdown()
    assert (
        f"UserError: PREFECT_API_URL={url}: is up, but does not answer as Prefect's API does: " in done.stderr
    )


def test_a_folder_keeps_its_tag_by_whatever_host_name_and_its_copy_has_another(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    tag = crashed_runs.workspace_tag()
    monkeypatch.setattr("platform.node", lambda: "another")
    assert crashed_runs.workspace_tag() == tag
    (tmp_path / "one").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert crashed_runs.workspace_tag() == tag
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    assert crashed_runs.workspace_tag() != tag
