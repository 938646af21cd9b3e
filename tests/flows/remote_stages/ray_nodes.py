"""A Ray cluster of two nodes on this machine, each with a folder of its own and one core."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from flows.remote_stages.workspace import VARIABLE
from tests import processes
from tests.flows.pipeline import ROOT

RAY = Path(sys.executable).with_name("ray")


class Nodes:
    """Two nodes, ``first``, which is also the cluster's head, and ``second``, which has a GPU that is none.

    Attributes:
        address: where clients find the cluster.
        project: a link to the project that stages note what they do in; each test sets it to its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.project = folder / "project"
        gcs, client = _free_ports()
        self.address = f"ray://127.0.0.1:{client}"
        head = [f"--head --port={gcs} --ray-client-server-port={client} --include-dashboard=false"]
        self._start("first", *head, f"--temp-dir={folder}/ray")
        self._join = f"--address=127.0.0.1:{gcs}"

    def work_in(self, project: Path) -> None:
        """Take ``project`` for the one that stages talk with, and start the second node where it is lost."""
        self.project.unlink(missing_ok=True)
        self.project.symlink_to(project)
        if not self._raylets("second"):
            self._start("second", self._join, "--num-gpus=1", '--resources={"second":1}')

    def lose_second(self) -> None:
        """Kill Ray on the second node, as a machine's end does; what Ray does not kill is left to us."""
        for process in self._raylets("second"):
            process.kill()

    def processes(self, node: str) -> list[psutil.Process]:
        """Return all processes of a node, Ray's and ours."""
        return processes.marked(VARIABLE, str(self._folder / node))

    def left(self) -> list[str]:
        """Return what workers left on the nodes: workspaces, and processes that are not Ray's own."""
        work = [path for node in ("first", "second") for path in (self._folder / node / "work").glob("*")]
        found = [str(path) for path in work if path.suffix != ".lock" and path.name != "lock"]
        for node in ("first", "second"):
            for process in self.processes(node):
                with contextlib.suppress(psutil.NoSuchProcess):
                    command = " ".join(process.cmdline())
                    if re.search(r"-m (flows|dvc|tests)\b", command):
                        found.append(command)
        return found

    def wait_until_quiet(self) -> list[str]:
        """Wait up to 20 s until nothing of a worker is left, and return what is."""
        give_up = time.monotonic() + 20
        while self.left() and time.monotonic() < give_up:
            time.sleep(0.1)
        return self.left()

    def end(self, *names: str) -> None:
        """Kill these. ``ray stop`` would end all of Ray on this machine."""
        for process in [process for node in names for process in self.processes(node)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _raylets(self, node: str) -> list[psutil.Process]:
        return [process for process in self.processes(node) if process.name() == "raylet"]

    def _start(self, node: str, *options: str) -> None:
        environment = {**os.environ, VARIABLE: str(self._folder / node), "DARKROOM_TEST": str(self.project)}
        environment |= {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
        environment["RAY_worker_niceness"] = "0"  # 15 by default: other tests beside would starve the stages
        environment["PATH"] = f"{RAY.parent}{os.pathsep}{os.environ['PATH']}"
        words = [word for option in options for word in option.split()]
        command = [RAY, "start", "--num-cpus=1", "--object-store-memory=80000000", *words]
        for _ in range(3):  # on a busy machine Ray may give up waiting for its own processes
            started = subprocess.run(
                command, env=environment, cwd=self._folder, capture_output=True, text=True, timeout=180
            )
            if started.returncode == 0:
                return
            self.end(node)
        raise RuntimeError(started.stdout + started.stderr)


@contextmanager
def nodes() -> Iterator[Nodes]:
    """Start them; their folder has a short path, for Ray's sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    started = None
    try:
        started = Nodes(folder)
        yield started
    finally:
        if started is not None:
            started.end("first", "second")
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
