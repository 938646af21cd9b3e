"""The supervisor: listens, runs workers and the follower, starts again what died, and hands on the end.

It imports little and does little, so that it is there at once and stays when one of the others falls.
"""

from __future__ import annotations

import itertools
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from components.serving.http.listening import hold, listen
from components.serving.settings import Settings
from components.serving.telemetry import logs, shared

_TICK_S = 0.05
_PAUSE_S = 1.0

Announce = Callable[[Mapping[str, Any]], None]
"""Called with ``host``, ``port``, the number of ``models``, and ``grpc_port`` where there is gRPC."""

log = logging.getLogger("darkroom.serving")


@dataclass
class Child:
    """A process that is kept running.

    Attributes:
        title: names it in logs.
        command: starts it.
        sockets: file descriptors that it inherits.
        announced: called with the first line that it prints.
        process: the running process.
        started: when it was started, by the monotonic clock.
    """

    title: str
    command: Sequence[str]
    sockets: Sequence[int] = ()
    announced: Callable[[str], None] | None = None
    process: subprocess.Popen | None = None
    started: float = field(default=0.0)

    def start(self) -> None:
        """Start it; it ends by itself when this process does, because its standard input then ends."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self.announced else subprocess.DEVNULL,
            pass_fds=self.sockets,
            text=True,
            start_new_session=True,  # a terminal's Ctrl+C comes here, and is handed on as SIGTERM
        )
        if self.announced:
            threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def restart_if_dead(self) -> None:
        """Start it again when it died; one that dies young gets a pause first."""
        code = self.process.poll()
        age = time.monotonic() - self.started
        if code is None or age < _PAUSE_S:
            return
        log.error("died; is started again", extra={"child": self.title, "exit": code})
        self.start()

    def _read(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self.announced(line)


def run(settings: Settings, announce: Announce) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status.

    Args:
        settings: the settings.
        announce: called once, when every worker serves the models.

    Raises:
        UserError: the address cannot be listened on.
    """
    logs.start("supervisor")
    listener = listen(settings.host, settings.port)
    holder = None if settings.grpc_port is None else hold(settings.host, settings.grpc_port)
    settings = replace(settings, port=listener.getsockname()[1], grpc_port=holder and holder.getsockname()[1])
    shared.forget_dead(settings.port)
    ending = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ending.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    children = _children(settings, listener, announce)
    try:
        for child in children:
            child.start()
        while not ending.wait(_TICK_S):
            for child in children:
                child.restart_if_dead()
    finally:
        listener.close()
        if holder:
            holder.close()
        code = _end(children, settings.grace_s)
        for number, handler in before.items():
            signal.signal(number, handler)
    return code


def _children(settings: Settings, listener: socket.socket, announce: Announce) -> list[Child]:
    counted, ready = threading.Lock(), itertools.count(1)

    def announced(line: str) -> None:
        with counted:
            # Until the last one has its models, a connection may reach a worker that is still loading them.
            if next(ready) == settings.workers:
                announce(json.loads(line))

    module = [sys.executable, "-m"]
    worker = [*module, "components.serving.worker", json.dumps(settings.to_json())]
    socket_ = listener.fileno()
    children = [
        Child(
            f"worker {number}",
            [*worker, "--socket", str(socket_), "--number", str(number)],
            [socket_],
            announced,
        )
        for number in range(settings.workers)
    ]
    if not settings.bundles:
        options = ["--follow", settings.follow, *(["--challengers"] if settings.shadow else [])]
        options += [f"--canary={name}" for name in settings.canaries]
        options += ["--alerts"] if settings.alerts else []
        follower = [*module, "components.serving.follower", str(settings.poll_s), *options]
        children.append(Child("follower", follower))
    if settings.prediction_log:
        recorder = [*module, "components.serving.predictions.recorder", json.dumps(settings.to_json())]
        children.insert(0, Child("recorder", recorder))
    return children


def _end(children: list[Child], grace_s: float) -> int:
    """End all children: workers answer what they have; return 0 when they did so in time."""
    running = [child for child in children if child.process is not None]
    for child in running:
        child.process.terminate()
    until, code = time.monotonic() + grace_s + 5, 0
    for child in running:
        try:
            child.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("did not end in time; is killed", extra={"child": child.title})
            child.process.kill()
            child.process.wait()
            code = 1
    return code
