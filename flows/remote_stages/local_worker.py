"""A worker on this machine: a process that shares nothing with the head but the remote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from flows.remote_stages.task import PROGRAMS, Report, Task
from flows.stages.process import StageFailed


class LocalWorker:
    """Does one task in a private workspace on this machine."""

    def __init__(self, log: Path, environment: dict[str, str], programs: Path | None) -> None:
        """Prepare it; what it says by itself goes to ``log``.

        Args:
            log: a file.
            environment: variables to add to this process's.
            programs: folder of the ``python`` that asks fork servers; None where there are none.
        """
        self._log = log
        self._environment = environment | ({PROGRAMS: str(programs)} if programs else {})
        self._process: subprocess.Popen | None = None
        self._is_stopped = False

    def do(self, task: Task) -> Report:
        """Do ``task`` and return how it went.

        Raises:
            StageFailed: it was stopped, or its process was killed.
        """
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flows.remote_stages.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment},
                text=True,
                start_new_session=True,
            )
        if self._is_stopped:
            self.stop()
        answer, _ = self._process.communicate(task.to_json() + "\n")
        if self._is_stopped:
            raise StageFailed(f"{task.stage} was stopped. Log: {self._log}")
        if self._process.returncode != 0:
            status = self._process.returncode
            told = (
                f"was killed by {signal.Signals(-status).name}"
                if status < 0
                else f"ended with status {status}"
            )
            raise StageFailed(f"{task.stage}: its worker {told}. Log: {self._log}", is_transient=True)
        return Report.from_json(answer)

    def stop(self) -> None:
        """Stop it: what it started, and its workspace, go with it."""
        self._is_stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
