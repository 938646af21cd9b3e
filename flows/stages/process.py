"""One stage of a run as a process: asks DVC to reproduce it, and can be stopped at any time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from flows.stages.dvc_command import NOT_AT_HAND, RESTORE_ONLY
from flows.stages.fork_server.client import DVC

GRACE = 10.0
"""Seconds between asking a stage to end and killing it."""


_END = 1 << 18
"""Bytes of either end of a log that are looked at; a stage may print a gigabyte."""


def ends(log: Path) -> str:
    """Return what a log says, of a long one its beginning and its end."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        begin = file.read(_END)
        file.seek(max(_END, size - _END))
        return (begin + file.read()).decode(errors="replace")


class StageFailed(Exception):
    """A stage ended with an error; the message is the stage's own, the log has the rest.

    Attributes:
        is_transient: another try may help: the stage neither named a user's mistake nor was stopped.
        was_killed: its command was killed by a signal that nobody here sent.
    """

    def __init__(self, message: str, is_transient: bool = False, was_killed: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.was_killed = was_killed


class NotAtHand(Exception):
    """Neither the workspace nor the cache has the outs of a stage that was only to be restored."""


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
        restore_only: bool = False,
    ) -> None:
        """Prepare to reproduce the stage ``name``; everything it prints goes to ``log``.

        Args:
            name: as DVC names it, ``train@digits-cnn``.
            log: file for standard output and error.
            environment: variables to add to this process's.
            programs: folder of the ``python`` that runs DVC and the stage's command; by default this one's.
            force: run the command even when DVC finds the stage up to date.
            restore_only: never run the command.
        """
        self.name = name
        self.log = log
        self._options = ["--single-item", "--force"] if force else ["--single-item"]
        self._python = programs / "python" if programs else sys.executable
        programs = programs or Path(sys.executable).parent
        self._environment = {**environment, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
        if restore_only:
            self._environment[RESTORE_ONLY] = "1"
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
            NotAtHand: its outs can only be had by its command, which is not to be run.
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
        printed = ends(self.log)
        if status != 0:
            if NOT_AT_HAND in printed:
                raise NotAtHand(self.name)
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
            return StageFailed(f"{told}\nLog: {self.log}", is_transient=True, was_killed=True)
        lost = re.search(r"^train \S+: (rank \d+ of \d+ was killed by .*)$", printed, flags=re.MULTILINE)
        if lost and not own:
            return StageFailed(f"{lost.group(1)}\nLog: {self.log}", is_transient=True, was_killed=True)
        message = own.group(1) if own else "\n".join(printed.strip().splitlines()[-12:])
        return StageFailed(f"{message.strip()}\nLog: {self.log}", is_transient=own is None)
