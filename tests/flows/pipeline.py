"""The toy pipeline: the real flow, DVC, registry and gate over stages that take a moment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from flows.processes.reaper import MARK
from tests import processes
from tests.components import workspace
from tests.flows import command_server
from tests.flows.toy_stage import MADE

ROOT = Path(__file__).parents[2]

DVC_YAML = """
stages:
  ingest:
    foreach: ${datasets}
    do:
      cmd: python -m tests.flows.toy_stage ingest ${key}
      deps: ["${item}"]
      outs: ["artifacts/data/${key}/ingest"]
  validate:
    foreach: ${datasets}
    do:
      cmd: python -m tests.flows.toy_stage validate ${key}
      deps: ["artifacts/data/${key}/ingest/manifest"]
      outs: ["artifacts/data/${key}/validation.json"]
  prepare:
    foreach: ${datasets}
    do:
      cmd: python -m tests.flows.toy_stage prepare ${key}
      deps: ["artifacts/data/${key}/ingest", "artifacts/data/${key}/validation.json"]
      outs: ["artifacts/data/${key}/prepared"]
  train:
    foreach: ${models}
    do:
      cmd: python -m tests.flows.toy_stage train ${key}
      params: ["models.${key}"]
      deps: ["artifacts/data/${item.dataset}/prepared", "noise-${key}"]
      outs: ["artifacts/models/${key}/train"]
  evaluate:
    foreach: ${models}
    do:
      cmd: python -m tests.flows.toy_stage evaluate ${key}
      deps: ["artifacts/data/${item.dataset}/prepared", "artifacts/models/${key}/train", "noise-${key}"]
      outs: ["artifacts/models/${key}/evaluate"]
  export:
    foreach: ${models}
    do:
      cmd: python -m tests.flows.toy_stage export ${key}
      deps: ["artifacts/data/${item.dataset}/prepared", "artifacts/models/${key}/evaluate/metrics.json", "noise-${key}"]
      outs: ["artifacts/bundles/${key}"]
"""

DATA_STEPS = [f"{kind}@{workspace.DATASET}" for kind in ("ingest", "validate", "prepare")]


def steps(*models: str) -> list[str]:
    """Return the stages of ``models`` in an order in which they can run."""
    return DATA_STEPS + [f"{kind}@{model}" for model in models for kind in ("train", "evaluate", "export")]


class Pipeline:
    """A toy project in the working directory and what one does with it."""

    def __init__(self, folder: Path, *models: str) -> None:
        """Set up ``models`` in ``folder``, which holds a git and DVC repository."""
        self.folder = folder
        workspace.make(folder)
        (folder / MADE).mkdir()
        (folder / "artifacts").rename(folder / MADE / "artifacts")
        gate = {model: {"thresholds": {"accuracy": {"at_least": 0.5}}} for model in models}
        workspace.write_params(gate, names=models)
        (folder / "dvc.yaml").write_text(DVC_YAML)
        (folder / ".dvc/config").write_text(
            "[core]\n    remote = r\n    analytics = false\n['remote \"r\"']\n    url = ../.remote\n"
        )
        for model in models:
            (folder / f"noise-{model}").write_text("0.0")

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run ``darkroom run`` to its end."""
        return subprocess.run(
            self._command(*arguments),
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start ``darkroom run`` in a process group of its own."""
        return subprocess.Popen(
            self._command(*arguments),
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def rows(self) -> dict[str, dict]:
        """Run with nothing to do and return the table, by model."""
        return {row["model"]: row for row in json.loads(self.run("--json").stdout)}

    def hold(self, step: str) -> Path:
        """Make ``step`` wait to be killed; delete the file to let it go on next time."""
        path = self.folder / f"sleep-{step}"
        path.touch()
        return path

    def wait_for(self, step: str, process: subprocess.Popen) -> None:
        """Wait until the command of ``step`` began."""
        give_up = time.monotonic() + 90
        while f"began {step}" not in self.log():
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < give_up, f"{step} never began"
            time.sleep(0.05)

    def log(self) -> list[str]:
        """Return what the stage commands noted."""
        path = self.folder / "ran.log"
        return path.read_text().splitlines() if path.exists() else []

    def done(self) -> list[str]:
        """Return the stages whose commands ended well, in that order."""
        return [line.removeprefix("done ") for line in self.log() if line.startswith("done ")]

    def processes(self) -> dict[str, psutil.Process]:
        """Return the live processes that a run in this folder started, by command line."""
        found = {}
        for process in processes.marked("DARKROOM_TEST", str(self.folder)):
            with contextlib.suppress(psutil.Error):  # it ended
                if process.environ().get(MARK):
                    found[" ".join(process.cmdline())] = process
        return found

    def prefect_server(self) -> psutil.Process:
        """Return the server that a run in this folder started for itself."""
        (found,) = (
            process
            for command, process in self.processes().items()
            if "prefect.server.api.server:create_app" in command
        )
        return found

    def wait_until_quiet(self) -> list[str]:
        """Wait up to 20 s until nothing of a run is left, and return the commands of what is."""
        give_up = time.monotonic() + 20
        while self.processes() and time.monotonic() < give_up:
            time.sleep(0.1)
        return list(self.processes())

    def partial_files(self) -> list[Path]:
        """Return files of an unfinished write that lie under a name a reader would look for."""
        return [
            path
            for path in (self.folder / "artifacts").rglob("*")
            if path.is_file() and path.stat().st_size == 0
        ]

    def dvc_status(self) -> str:
        """Return what ``dvc status`` says."""
        command = [sys.executable, "-m", "dvc", "status"]
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    def _command(self, *arguments: str) -> list[str]:
        return command_server.command("run", *arguments)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "DARKROOM_TEST": str(self.folder)}


def kill_9(process: subprocess.Popen) -> None:
    """Kill the run itself, not its group: its children must go by our own doing."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
