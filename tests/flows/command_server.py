"""``darkroom`` commands as copies of a process that has their libraries loaded, as stages are in a run.

Prefect, DVC and MLflow take nearly 4 s of a processor to import, and tests begin dozens of commands. What a copy
does, and how it is interrupted, killed and ended, is what :mod:`flows.stages.fork_server` does with a stage. That the
command starts by itself is tried by ``tests/test_pipeline.py`` and ``tests/flows/test_kill_sweep.py``.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from pathlib import Path

import flows  # noqa: F401 -- the telemetry of all tools is off
from flows.stages.fork_server import client

ROOT = Path(__file__).resolve().parents[2]
_CLIENT = """
import importlib.util, socket, sys
spec = importlib.util.spec_from_file_location("client", sys.argv[1])
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[2])
    client.end_as(client.ask(server, sys.argv[3:]))
"""
_LIBRARIES = (
    "dvc.repo.reproduce",
    "dvc.stage.cache",
    "dvc.stage.serialize",
    "dvc.parsing",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "onnx",
    "pandas",
    "pyarrow.parquet",
    "rich.live",
    "typer",
)


def command(*arguments: str) -> list[str]:
    """Return the command that runs ``darkroom`` with ``arguments``."""
    return [sys.executable, "-I", "-S", "-c", _CLIENT, client.__file__, _address(), "flows", *arguments]


@cache
def _address() -> str:
    """Start the server, which ends with this process, and return its socket's address."""
    ends = ExitStack()
    atexit.register(ends.close)
    address = f"{ends.enter_context(tempfile.TemporaryDirectory())}/commands"
    listener = ends.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(address)
    listener.listen(16)
    server = subprocess.Popen(
        [sys.executable, "-m", __name__, str(listener.fileno())],
        pass_fds=[listener.fileno()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,  # the kernel closes it when this process ends
        start_new_session=True,
    )
    ends.callback(server.wait)
    ends.callback(server.terminate)
    return address


def _load() -> None:
    for name in _LIBRARIES:
        import_module(name)


def _load_prefect() -> None:
    """Load Prefect, which reads its settings when it is imported, such that each copy reads its own."""
    import_module("prefect.main")
    import_module("prefect.client.orchestration")
    from prefect import context
    from prefect.logging import configuration

    set_up = configuration.setup_logging

    def set_up_anew() -> dict:
        context.refresh_global_settings_context()
        return set_up(incremental=False)

    configuration.setup_logging = set_up_anew
    del sys.modules["prefect.main"]  # which a copy imports anew, and which sets up the logging


if __name__ == "__main__":
    from flows.stages.fork_server.server import Server

    Server(socket.socket(fileno=int(sys.argv[1]))).serve([_load, _load_prefect]).become()
