"""Stages that start in milliseconds: a process with their libraries loaded forks a copy of itself for each.

PyTorch and its exporter take 2 to 7 seconds to import, Great Expectations 3, DVC half a second: on small data that is
most of a stage. Here they are imported once a run. Nobody notices: the ``python`` that DVC's commands find first is
:mod:`flows.stages.fork_server.client`, which hands a stage to :mod:`flows.stages.fork_server.server` and
lives, dies and ends with it.

Only libraries are loaded ahead. The project's own code is read anew by every stage, so an edit counts at once.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path

from data.errors import UserError
from flows.stages.dag import Stage
from flows.stages.fork_server import client

SWITCH = "DARKROOM_FORK_SERVER"
"""Environment variable: ``0`` turns the servers off, and every stage gets an interpreter of its own."""

_programs: ContextVar[Path | None] = ContextVar("programs", default=None)


def is_on() -> bool:
    """Whether servers run where they can.

    Raises:
        UserError: the variable is neither 0 nor 1.
    """
    said = os.environ.get(SWITCH, "1")
    if said not in ("0", "1"):
        raise UserError(f"{SWITCH}={said}: give 0, which turns the fork servers off, or 1.")
    return said == "1"


def programs() -> Path | None:
    """Return the folder to put first on the ``PATH`` of who shall use the servers that run, if there are any."""
    return _programs.get()


@contextmanager
def serve(folder: Path, stages: Iterable[Stage]) -> Iterator[None]:
    """Run fork servers for the block, with what ``stages`` need; :func:`programs` then says where.

    Args:
        folder: made if it is not there; sockets, logs and the ``python`` go into it. Relative to the working
            directory, as a socket's address is short.
        stages: those that may run. Without any, where they are turned off, and on anything but Linux, where a copy
            would outlive the process that asked for it, there is no server.

    Raises:
        UserError: :data:`SWITCH` is neither 0 nor 1.
    """
    commands = [shlex.split(stage.command)[1:] for stage in stages]
    if not is_on() or not commands or sys.platform != "linux":
        yield
        return
    names = {client.SERVERS[client.DVC], *filter(None, map(client.server_of, commands))}
    address = folder / "fork-server"
    _put_python(folder / "bin", address)
    with ExitStack() as servers:
        for name in sorted(names):
            servers.enter_context(_server(name, Path(f"{address}-{name}")))
        before = _programs.set((folder / "bin").absolute())
        try:
            yield
        finally:
            _programs.reset(before)


def _put_python(programs: Path, address: Path) -> None:
    """Write the ``python`` that asks the servers at ``address`` into the folder ``programs``."""
    programs.mkdir(parents=True, exist_ok=True)
    start = shlex.join([sys.executable, "-I", "-S", client.__file__, str(address.absolute()), sys.executable])
    python = programs / "python"
    python.write_text(f'#!/bin/sh\nexec {start} "$@"\n')
    python.chmod(0o755)


@contextmanager
def _server(name: str, address: Path) -> Iterator[None]:
    place = address.absolute()  # where it is when the block ends, in whatever folder that is
    # Listens from now on: who asks before the server is ready waits for it.
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, address.with_name(f"{address.name}.log").open("w") as log:
        listener.bind(str(address))
        listener.listen(128)
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.stages.fork_server.server", name, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            # What asks whether there is a GPU must not start the driver: no copy of the process could use it then.
            env={**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
            stdin=subprocess.PIPE,  # the kernel closes it when this process ends in whatever way, and the server ends
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        server.terminate()
        server.wait()
        server.stdin.close()
        place.unlink(missing_ok=True)
