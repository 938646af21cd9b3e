"""Stages that start in milliseconds: a process with PyTorch loaded forks a copy of itself for each.

PyTorch and its exporter take 2 to 7 seconds to import, which on small data is most of a stage. Here they are imported
once a run. DVC notices nothing: the ``python`` that its commands find first is :mod:`flows.fork_server.client`, which
hands a stage to :mod:`flows.fork_server.server` and lives, dies and ends with it.

Only libraries are loaded ahead. The project's own code is read anew by every stage, so an edit counts at once.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.dag import Stage
from flows.fork_server import client


def takes(stage: Stage) -> bool:
    """Whether the command of ``stage`` gains from a fork server here: copies outlive theirs on anything but Linux."""
    return sys.platform == "linux" and client.is_preloaded(shlex.split(stage.command)[1:])


@contextmanager
def serve(folder: Path) -> Iterator[Path]:
    """Run a fork server for the block; yield the folder to put first on the ``PATH`` of those who shall use it.

    Args:
        folder: made if it is not there; the server's socket and log and the ``python`` go into it. Relative to the
            working directory, as a socket's address is short.
    """
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    address = folder / "fork-server"
    start = shlex.join([sys.executable, "-I", "-S", client.__file__, str(address), sys.executable])
    python = programs / "python"
    python.write_text(f'#!/bin/sh\nexec {start} "$@"\n')
    python.chmod(0o755)
    # Listens from now on: who asks before the server is ready waits for it.
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, (folder / "fork-server.log").open("w") as log:
        listener.bind(str(address))
        listener.listen(128)
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.fork_server.server", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            # What asks whether there is a GPU must not start the driver: no copy of the process could use it then.
            env={**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
            stdin=subprocess.PIPE,  # the kernel closes it when this process ends in whatever way, and the server ends
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield programs.absolute()
    finally:
        server.terminate()
        server.wait()
        server.stdin.close()
        address.unlink()
