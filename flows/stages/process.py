"""One stage of a run as a process: asks DVC to reproduce it, and can be stopped at any time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from flows.stages.fork_server.client import DVC

GRACE = 10.0
"""Seconds between asking a stage to end and killing it."""


class StageFailed(Exception):
    """A stage ended with an error; the message is the stage's own, the log has the rest.

    Attributes:
        is_transient: another try may help: the stage neither named a user's mistake nor was stopped.
    """

    def __init__(self, message: str, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class StageProcess:
    """``dvc repro --single-item`` of one stage, in a process group of its own."""

    def __init__(
        self,
        name: str,
        log: Path,
        environment: dict[str, str],
        *,
        programs: Path | None = None,
        force: bool = False,
    ) -> None:
        """Prepare to reproduce the stage ``name``; everything it prints goes to ``log``.

        Args:
            name: as DVC names it, ``train@digits-cnn``.
            log: file for standard output and error.
            environment: variables to add to this process's.
            programs: folder of the ``python`` that runs DVC and the stage's command; by default this one's.
            force: run the command even when DVC finds the stage up to date.
        """
        self.name = name
        self.log = log
        self._options = ["--single-item", "--force"] if force else ["--single-item"]
        self._python = programs / "python" if programs else sys.executable
        programs = programs or Path(sys.executable).parent
        self._environment = {**environment, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
        self._process: subprocess.Popen | None = None
        self._stopped = threading.Event()

    def run(self, time_limit: float) -> str:
        """Reproduce the stage and wait for it.

        Args:
            time_limit: seconds after which it is stopped.

        Returns:
            ``ran``, ``restored`` (the outs came from DVC's cache) or ``unchanged``.

        Raises:
            StageFailed: it failed, ran out of time, or was stopped.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [self._python, "-m", DVC, "--wait-for-lock", "repro", *self._options, self.name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        if self._stopped.is_set():
            self.stop()
        try:
            status = self._process.wait(time_limit)
        except subprocess.TimeoutExpired:
            self.stop()
            self._process.wait()
            raise StageFailed(
                f"{self.name} ran out of its {time_limit / 60:g} minutes, which time_limits of params.yaml can change. "
                f"Log: {self.log}"
            ) from None
        if self._stopped.is_set():
            raise StageFailed(f"{self.name} was stopped. Log: {self.log}")
        printed = self.log.read_text(errors="replace")
        if status != 0:
            raise self._failure(status, printed)
        if "Running stage" in printed:
            return "ran"
        return "restored" if "is cached" in printed else "unchanged"

    def stop(self) -> None:
        """Stop the stage: DVC passes the request on to its command, and ends by itself."""
        self._stopped.set()
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)

    def _failure(self, status: int, printed: str) -> StageFailed:
        """Return the stage's own error where it gave one, else the end of its log."""
        own = re.search(r"^error: (.*?)(?=^ERROR: |\Z)", printed, flags=re.MULTILINE | re.DOTALL)
        killed = status == -signal.SIGKILL or re.search(r"exited with (-9|137)$", printed, flags=re.MULTILINE)
        if killed and not own:
            told = f"{self.name} was killed by signal {signal.SIGKILL:d} (out of memory?)"
            return StageFailed(f"{told}\nLog: {self.log}", is_transient=True)
        message = own.group(1) if own else "\n".join(printed.strip().splitlines()[-12:])
        return StageFailed(f"{message.strip()}\nLog: {self.log}", is_transient=own is None)
