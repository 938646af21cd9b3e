"""Stands in for ``python``: what a fork server has libraries for goes to it, everything else to the interpreter.

Starts in 20 ms, so it imports next to nothing. Where no server answers, the interpreter does the work.
"""

import json
import os
import signal
import socket
import struct
import sys

DVC = "flows.stages.dvc_command"
SERVERS = {
    DVC: "data",
    "components.ingest": "data",
    "components.prepare": "data",
    "components.validate": "expectations",
    "components.judge": "learning",
    "components.train": "learning",
    "components.evaluate": "learning",
    "components.export": "learning",
    "flows.workspace.overrides": "learning",
}
"""Which server has the libraries of a module."""

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LENGTH = struct.Struct("!I")
STATUS = struct.Struct("!i")


def main(address: str, python: str, arguments: list[str]) -> None:
    """Run ``python`` with ``arguments``, by one of the servers at ``address`` where it can, and end as it ends."""
    name = server_of(arguments)
    if name is not None:
        with socket.socket(socket.AF_UNIX) as server:
            if connect(server, f"{address}-{name}"):
                end_as(ask(server, arguments[1:]))
    os.execv(python, [python, *arguments])


def connect(server: socket.socket, address: str) -> bool:
    """Connect to the server at the absolute path ``address``; return whether there is one.

    By its name alone, from its folder: what the kernel takes for an address is short.
    """
    here = os.open(".", os.O_RDONLY)
    folder, _, name = address.rpartition("/")
    try:
        os.chdir(folder)
        server.connect(name)
    except OSError:
        return False
    finally:
        os.fchdir(here)
        os.close(here)
    return True


def server_of(arguments: list[str]) -> str | None:
    """Return the name of the server that has the libraries of ``python`` with ``arguments``, if there is one."""
    return SERVERS.get(arguments[1]) if len(arguments) > 1 and arguments[0] == "-m" else None


def ask(server: socket.socket, arguments: list[str]) -> int:
    """Have the module ``arguments[0]`` run with the rest of them; return its exit status, or -N for signal N."""
    folder = os.getcwd()  # noqa: PTH109 - pathlib would take longer to import than all of this
    request = {"arguments": arguments, "folder": folder, "environment": dict(os.environ)}
    message = json.dumps(request).encode()
    socket.send_fds(server, [LENGTH.pack(len(message))], [0, 1, 2])
    server.sendall(message)
    for number in FORWARDED:
        signal.signal(number, lambda number, _: server.send(bytes([number])))
    answer = server.recv(STATUS.size, socket.MSG_WAITALL)
    if len(answer) < STATUS.size:
        sys.exit("error: the fork server ended before the stage did")
    return STATUS.unpack(answer)[0]


def end_as(status: int) -> None:
    """End this process with an exit status, or by the signal, that ended the stage."""
    if status < 0:
        if -status != signal.SIGKILL:  # which nobody can handle, and asking for it is an error
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
