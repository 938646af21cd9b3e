"""Two checkouts of Darkroom side by side: how benchmarks start the server of each."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.command import described
from components.serving import child


def parser(description: str) -> argparse.ArgumentParser:
    """Return the options of what compares two builds by the bundles that both serve."""
    options = described(description)
    options.add_argument("old", type=Path)
    options.add_argument("new", type=Path)
    options.add_argument("--bundles", type=Path, help="folder of bundles; NEW/artifacts/bundles without it")
    return options


def bundles_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder of bundles that :func:`parser`'s options mean."""
    return (arguments.bundles or arguments.new / "artifacts" / "bundles").resolve()


@dataclass(frozen=True)
class Running:
    """A server: its ports, and the process that answers."""

    port: int
    grpc_port: int
    worker: psutil.Process


@contextmanager
def running(checkout: Path, bundles: Mapping[str, Path]) -> Iterator[Running]:
    """Run a checkout's ``darkroom serve`` with fixed bundles until the block ends, in its own environment."""
    served = [part for name, folder in bundles.items() for part in ("--bundle", f"{name}={folder}")]
    command = [
        checkout / ".venv/bin/python",
        "-m",
        "flows",
        "serve",
        "--port",
        "0",
        "--grpc-port",
        "0",
        "--json",
    ]
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        for file in ("dvc.yaml", "params.yaml"):  # what makes a folder a project
            shutil.copy(checkout / file, folder)
        server = child.start([*command, *served], folder, environment, log)
        try:
            line = server.stdout.readline()
            if not line:
                log.seek(0)
                sys.exit(f"{checkout}: the server did not start:\n{log.read()[-3000:]}")
            told = json.loads(line)
            (worker,) = psutil.Process(server.pid).children()
            yield Running(told["port"], told["grpc_port"], worker)
        finally:
            server.terminate()
            server.wait(60)
