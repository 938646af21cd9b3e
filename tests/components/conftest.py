"""Workspaces with a registry, on SQLite and on a real PostgreSQL: copies of a store that was set up once."""

from __future__ import annotations

import contextlib
import functools
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.components import postgres, workspace

if TYPE_CHECKING:
    from tests.components.staged import Staged

_numbers = itertools.count()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> Path:
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_server():
    from mlflow import MlflowClient

    if postgres.binaries() is None:
        needs.missing("PostgreSQL: apt-get install postgresql")
    server = postgres.Server()
    server.execute("CREATE DATABASE template")
    MlflowClient(server.address("template"))
    # A database with open connections is no template, and MLflow keeps its own.
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'template'")
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request, tmp_path, monkeypatch) -> Path:
    """A workspace as the working directory, with an empty registry of each kind."""
    return _project(request, tmp_path, monkeypatch, request.param)


@pytest.fixture
def sqlite_project(request, tmp_path, monkeypatch) -> Path:
    """A workspace with an empty embedded registry: for what does not depend on the kind of store."""
    return _project(request, tmp_path, monkeypatch, "sqlite")


@pytest.fixture
def postgresql_project(request, tmp_path, monkeypatch) -> Path:
    """A workspace with an empty registry on PostgreSQL: for what several machines do with one."""
    return _project(request, tmp_path, monkeypatch, "postgresql")


@pytest.fixture
def answered_here(monkeypatch) -> None:
    """Have the gate ask this process instead of a server that it starts: what it decides rests on the same answers."""
    from components.promotion import smoke_test
    from tests.components import answered_here

    monkeypatch.setattr(smoke_test, "run", answered_here.run)


def _project(request, folder: Path, monkeypatch, kind: str) -> Path:
    monkeypatch.chdir(folder)
    workspace.make(folder)
    if kind == "sqlite":
        _embed(request.getfixturevalue("sqlite_template"), folder, monkeypatch)
    else:
        server = request.getfixturevalue("postgres_server")
        database = f"darkroom_{next(_numbers)}"
        server.execute(f"CREATE DATABASE {database} TEMPLATE template")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address(database))
    return folder


def _embed(template: Path, folder: Path, monkeypatch) -> None:
    """Give a workspace an empty registry on SQLite."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = folder / ".darkroom" / "mlflow" / "mlflow.db"
    store.parent.mkdir(parents=True)
    shutil.copy(template, store)


@pytest.fixture(scope="session")
def measured_project(tmp_path_factory) -> Path:
    """A workspace with one small model of each family, trained, evaluated and exported by the real stages."""
    from components import evaluate, export, train
    from tests.models import exported

    folder = tmp_path_factory.mktemp("measured")
    with contextlib.chdir(folder), exported.in_one_way():
        workspace.make(folder)
        workspace.write_families()
        for name in workspace.FAMILY_MODELS:
            for step in (train, evaluate, export):
                step.run(name)
    return folder


@pytest.fixture
def measured(measured_project, tmp_path, monkeypatch) -> Path:
    """A copy of :func:`measured_project` of one's own, as the working directory."""
    return workspace.enter_copy(measured_project, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def staged_projects(tmp_path_factory) -> Callable[[str], Path]:
    """Workspaces by task, each with a model of it, trained, evaluated and exported once."""
    from tests.components.staged import STAGED
    from tests.models import exported

    @functools.cache
    def made(task: str) -> Path:
        folder = tmp_path_factory.mktemp(task)
        with contextlib.chdir(folder), exported.in_one_way():
            workspace.make(folder)
            STAGED[task].export()
        return folder

    return made


@pytest.fixture
def staged(request, staged_projects, sqlite_template, tmp_path, monkeypatch) -> Staged:
    """The model of the task that is the parameter, in a copy of its workspace of one's own."""
    from tests.components.staged import STAGED

    folder = workspace.enter_copy(staged_projects(request.param), tmp_path, monkeypatch)
    _embed(sqlite_template, folder, monkeypatch)
    return STAGED[request.param]


@pytest.fixture
def bare_project(tmp_path, monkeypatch) -> Path:
    """A workspace as the working directory, without a registry."""
    monkeypatch.chdir(tmp_path)
    workspace.make(tmp_path)
    return tmp_path
