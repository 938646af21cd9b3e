"""A toy project: real git, real DVC, stages that are a few lines of shell."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.components.conftest import postgres_server, sqlite_template  # noqa: F401 -- fixtures that both need
from tests.flows.pipeline import Pipeline

DVC_YAML = """
stages:
  ingest:
    foreach: ${datasets}
    do:
      cmd: mkdir -p out && sh stage.sh ingest ${key} > out/ingest-${key}
      deps: ["${item}", stage.sh]
      outs: ["out/ingest-${key}"]
  train:
    foreach: ${models}
    do:
      cmd: sh stage.sh train ${key} > out/train-${key}
      params: ["models.${key}"]
      deps: ["out/ingest-${item.dataset}", stage.sh]
      outs: ["out/train-${key}"]
"""

STAGE = """
echo "$1@$2" >> ran.log
if [ -f "fail-$1@$2" ]; then cat "fail-$1@$2" >&2; exit 2; fi
if [ -f "sleep-$1@$2" ]; then echo $$ > pid; sleep 300; fi
cat source-digits
"""

PARAMS = """
datasets: {digits: source-digits}
models:
  one: {family: logreg, dataset: digits}
  two: {family: cnn, dataset: digits}
"""


@pytest.fixture(scope="session")
def _toy_template(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    dvc = Path(sys.executable).with_name("dvc")
    for command in (["git", "init", "-q"], [dvc, "init", "-q"], [dvc, "config", "core.analytics", "false"]):
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
    for name, text in {
        "dvc.yaml": DVC_YAML,
        "stage.sh": STAGE,
        "params.yaml": PARAMS,
        "source-digits": "0",
    }.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def toy(_toy_template, tmp_path, monkeypatch) -> Path:
    """A project with ``ingest@digits``, ``train@one`` and ``train@two``; ``ran.log`` tells which stages ran."""
    shutil.copytree(_toy_template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pipeline(toy, sqlite_template, monkeypatch) -> Pipeline:  # noqa: F811
    """A toy pipeline of the models ``one`` and ``two`` in it, with an empty embedded registry."""
    store = toy / ".darkroom/mlflow/mlflow.db"
    store.parent.mkdir(parents=True)
    shutil.copy(sqlite_template, store)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Pipeline(toy, "one", "two")


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory) -> Iterator[dict[str, str]]:
    """One real Prefect server for all tests, each run would else start its own; yield the variables that name it."""
    from flows.prefect_api import server

    names = ("PREFECT_API_URL", "PREFECT_HOME")
    with ExitStack() as running:
        with pytest.MonkeyPatch.context() as patch:
            for name in names:
                patch.delenv(name, raising=False)
            patch.chdir(tmp_path_factory.mktemp("prefect"))
            running.enter_context(server.api())
            server.wait()
            settings = {name: os.environ.pop(name) for name in names}
        yield settings
        os.environ.update(settings)  # of which the server, as it ends, takes its address away


@pytest.fixture
def prefect(prefect_server, monkeypatch) -> None:
    """That server as the one that runs use."""
    for name, value in prefect_server.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def prefect_database(prefect_server, toy, monkeypatch) -> None:
    """Where each run starts a server of its own: a database in the project that is made already, which takes 5 s."""
    for name in prefect_server:
        monkeypatch.delenv(name, raising=False)
    database = toy / ".darkroom/prefect/prefect.db"
    database.parent.mkdir(parents=True)
    with closing(sqlite3.connect(Path(prefect_server["PREFECT_HOME"]) / "prefect.db")) as made:
        made.execute("VACUUM INTO ?", [str(database)])


@pytest.fixture(autouse=True)
def _tools_of_this_environment(monkeypatch):
    """Find ``dvc`` and ``python`` of the environment that runs the tests, whether it is activated or not."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
