"""Processes that a test starts: found again by a variable of their environment; killed at a write to the disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil


def marked(variable: str, value: str) -> list[psutil.Process]:
    """Return the live processes in whose environment ``variable`` is ``value``."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:  # it ended, or it is another account's
            continue
    return found


def kill_at_write(number: int, work: Callable[[], object]) -> None:
    """Do ``work`` in a copy of this process, which SIGKILL ends at its write to the disk ``number``, counted from 1."""
    child = os.fork()
    if not child:
        count = iter(range(1, 10_000))
        once = os.fsync
        os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL) if next(count) == number else once(file)
        work()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
