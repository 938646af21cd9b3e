"""No orphans: whatever a run started dies with it, even after ``kill -9``.

A run marks its environment, which every process it starts inherits, and so do theirs. The reaper is a small process
that holds the other end of a pipe from the run. When the run ends, in whatever way, the kernel closes the pipe, and the
reaper ends every process that still carries the mark.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "DARKROOM_RUN"
PATIENCE = 10.0
"""Seconds that processes get to end by themselves before they are killed."""


@contextmanager
def guard(run: str, folder: Path | None = None) -> Iterator[None]:
    """Mark this process as ``run`` and have its descendants reaped when it ends or when the block is left.

    ``folder``, where one is given, is removed after that. A block inside that of another run's, as that of a process
    which it started, has its own reaper, which the other's leaves alone.
    """
    reading, writing = os.pipe()
    outer = os.environ.pop(MARK, None)
    subprocess.Popen(
        [sys.executable, "-m", "flows.processes.reaper", run, *([str(folder)] if folder else [])],
        stdin=reading,
        # Its own session: a Ctrl-C in the terminal is for the run, and the reaper must outlive it.
        start_new_session=True,
    )
    os.close(reading)
    os.environ[MARK] = run
    try:
        yield
    finally:
        del os.environ[MARK]
        if outer is not None:
            os.environ[MARK] = outer
        os.close(writing)


def reap(run: str) -> None:
    """End every process that carries the mark of ``run``.

    DVC passes the request on to its command and ends after it (:mod:`flows.stages.dvc_command`). What is still there
    after :data:`PATIENCE` seconds is killed.
    """
    import psutil

    marked = _marked(run)
    for process in marked:
        _send(process, "terminate")
    _, alive = psutil.wait_procs(marked, timeout=PATIENCE)
    for process in {*alive, *_marked(run)}:
        _send(process, "kill")


def _marked(run: str) -> list:
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == run:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _send(process, how: str) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        getattr(process, how)()


if __name__ == "__main__":
    sys.stdin.buffer.read()
    reap(sys.argv[1])
    for folder in sys.argv[2:]:
        shutil.rmtree(folder, ignore_errors=True)
