"""Prefect's API for a run: the one the user configured, or the run's own for as long as it lasts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from components.project import layout
from data import atomic
from data.errors import UserError
from flows.processes import locks

STARTUP_LIMIT = 120.0
"""Seconds for the embedded server to answer; the first start on a slow disk migrates its database."""

QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
}

_RUN_ONLY = {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1", "PREFECT_UI_ENABLED": "0"}
"""Without the services that plan runs."""

_ALL = {"PREFECT__SERVER_FINAL": "1", "PREFECT_UI_ENABLED": "1"}

_URL = layout.STATE / "prefect.url"

_SERVER = (
    *("--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1"),
    *("--log-level", "error", "--lifespan", "on"),
)


@contextmanager
def api() -> Iterator[None]:
    """Set ``PREFECT_API_URL`` for the block.

    Where it is set already, that server is used, and so is one that keeps this workspace's schedules. Otherwise an
    embedded one starts on a free loopback port, with its database under ``.darkroom/prefect``, and stops when the block
    is left. The block is entered while it still starts: call :func:`wait` before the first flow run.

    Prefect reads its settings when it is imported, so import it only inside the block.
    """
    _be_quiet()
    if os.environ.get("PREFECT_API_URL"):
        yield
        return
    held = locks.take(locks.SERVER)
    if held is None and _URL.exists():
        with _at(_URL.read_text()):
            yield
        return
    held = held or locks.hold(locks.SERVER, wait=True)
    try:
        with _embedded(_RUN_ONLY) as url, _at(url):
            yield
    finally:
        held.release()


@contextmanager
def keeping_schedules() -> Iterator[None]:
    """As :func:`api`, with an embedded server that has all of Prefect's services and its page.

    Runs in this workspace use it as long as the block lasts. It is not left before the last of them has ended.
    """
    _be_quiet()
    if os.environ.get("PREFECT_API_URL"):
        yield
        return
    # A run has the database for itself until it ends.
    run = locks.hold(locks.RUN, wait=True)
    server = locks.hold(locks.SERVER, wait=True)
    try:
        with _embedded(_ALL) as url, _at(url):
            atomic.write_text(_URL, url)
            run.release()
            try:
                yield
            finally:
                run.acquire()
                _URL.unlink()
    finally:
        server.release()
        run.release()


def _be_quiet() -> None:
    for key, value in QUIET.items():
        os.environ.setdefault(key, value)


@contextmanager
def _at(url: str) -> Iterator[None]:
    os.environ["PREFECT_API_URL"] = url
    try:
        yield
    finally:
        del os.environ["PREFECT_API_URL"]


@contextmanager
def _embedded(settings: Mapping[str, str]) -> Iterator[str]:
    """Run Prefect's server for the block; yield its URL."""
    home = Path(os.environ.setdefault("PREFECT_HOME", str((layout.STATE / "prefect").absolute())))
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    with (home / "server.log").open("w") as log:
        # The same command by which Prefect starts its ephemeral server; in a session of its own, so that a Ctrl-C
        # in the terminal does not take it away before the flow run could be marked as cancelled.
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *_SERVER, "--port", str(port)],
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}/api"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait() -> None:
    """Wait until the API answers.

    Raises:
        UserError: it does not within :data:`STARTUP_LIMIT` seconds.
    """
    url = os.environ["PREFECT_API_URL"]
    give_up = time.monotonic() + STARTUP_LIMIT
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > give_up:
                raise UserError(f"PREFECT_API_URL={url}: no answer from the Prefect API ({error}).") from None
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
