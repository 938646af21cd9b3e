"""Sends what is owed, in a process of its own: ``python -m components.alerts.sender SECONDS``.

It may be killed at any time: nothing is lost, and a receiver that hangs holds up nobody but itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from filelock import FileLock, Timeout

from components.alerts import outbox
from components.project import params
from data.errors import UserError

KILL_S = 60.0
"""Seconds past its time after which a sender counts as one that hangs."""


class Sender:
    """Starts the process where something may be owed, one at a time."""

    def __init__(self, for_s: float) -> None:
        """Let each process try for ``for_s`` seconds."""
        self._for_s, self._started = for_s, 0.0
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Have the outbox sent. A process that is at it goes on; one that hangs is killed and replaced."""
        if self._process is not None and self._process.poll() is None:
            if time.monotonic() - self._started < self._for_s + KILL_S:
                return
            self._process.kill()
            self._process.wait()
        self._started = time.monotonic()
        command = [sys.executable, "-m", "components.alerts.sender", str(self._for_s)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)

    def finish(self, within_s: float, is_owed: Callable[[], bool]) -> None:
        """Have all sent that ``is_owed``, but take no longer than ``within_s``; then end the process."""
        until = time.monotonic() + within_s
        with suppress(subprocess.TimeoutExpired):
            while is_owed() and (left := until - time.monotonic()) > 0:
                self.start()  # anew, where one ended as the last event came
                self._process.wait(left)
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def send(for_s: float, *, at_once: bool = False) -> None:
    """Send what is owed, one process at a time; others wait for their turn.

    Raises:
        UserError: ``alerts:`` holds a mistake, the outbox cannot be used, or another process is at it all the time.
    """
    # Imported here: it imports apprise, which those that only start this process do without.
    from components.alerts import delivery

    policy = params.load_alerts()
    outbox.FOLDER.mkdir(parents=True, exist_ok=True)
    lock = outbox.FOLDER / "sender.lock"
    try:
        with FileLock(lock, timeout=max(1.0, for_s)), outbox.opened() as box:
            delivery.send(box, policy, for_s, at_once=at_once)
    except Timeout:
        raise UserError(f"{lock}: another process is sending. What waits: darkroom alerts") from None


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def main() -> None:
    """Send until nothing is owed or the time is over, or standard input ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        send(float(sys.argv[1]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
