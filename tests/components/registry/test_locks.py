"""A lock of the registry in PostgreSQL: of all machines, bounded, and gone with its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.registry import locks
from components.registry.store_address import Unreachable
from data.errors import UserError
from tests import needs

ROOT = Path(__file__).parents[3]
HOLD = "from components.registry import locks\nwith locks.of_models('m'):\n    print('held', flush=True); input()"


@contextmanager
def _another_machine(folder: Path) -> Iterator[subprocess.Popen]:
    """Run a process in a workspace of its own that holds the lock of the model ``m``."""
    folder.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_a_holder_that_is_killed_frees_the_lock(postgresql_project, capfd, monkeypatch):
    monkeypatch.setattr(locks, "_LOCK_S", 1)
    with _another_machine(postgresql_project / "other") as holder:
        with locks.of_models("n"):
            assert not capfd.readouterr().err  # another model, another lock
        with pytest.raises(UserError, match=rf"m: darkroom \S+ {holder.pid} .* has held this lock"):
            locks.of_models("m").__enter__()
        assert f" {holder.pid} " in capfd.readouterr().err
        monkeypatch.setattr(locks, "_LOCK_S", 20)
        os.kill(holder.pid, signal.SIGKILL)
        with locks.of_models("m"):
            locks.require("m")


def test_a_lock_that_a_database_dropped_is_told(postgresql_project, postgres_server):
    with locks.of_models("m"):
        locks.require("m")
        postgres_server.go_away()
        try:
            with pytest.raises(Unreachable, match="the lock cannot be taken"), locks.of_models("n"):
                pass
        finally:
            postgres_server.start()
        with pytest.raises(Unreachable, match="Nothing was moved"):
            locks.require("m")
    with locks.of_models("m"):
        locks.require("m")


def test_a_pooler_of_connections_is_refused(postgresql_project, postgres_server, monkeypatch):
    database = os.environ["MLFLOW_TRACKING_URI"].rpartition("/")[2]
    with postgres_server.pooler(needs.installed("pgbouncer", package="pgbouncer")) as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://postgres@127.0.0.1:{port}/{database}")
        with pytest.raises(UserError, match="a pooler of connections"), locks.of_models("m"):
            pass
