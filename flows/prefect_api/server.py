"""Prefect's API for a run: the one the user configured, or the run's own for as long as it lasts."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from components.project import layout
from data import atomic
from data.errors import UserError
from flows.processes import locks

STARTUP_LIMIT = 300.0
"""Seconds for the embedded server to answer: ten of work, which a machine that others keep busy was seen to take two
minutes for. One that ends is told at once."""

QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
}

BOUNDED = {"PREFECT_CLIENT_MAX_RETRIES": "2", "PREFECT_API_REQUEST_TIMEOUT": "20"}
"""How long Prefect's client waits for an API that does not answer. Its own defaults are minutes for each request."""

_RUN_ONLY = {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1", "PREFECT_UI_ENABLED": "0"}
"""Without the services that plan runs."""

_ALL = {"PREFECT__SERVER_FINAL": "1", "PREFECT_UI_ENABLED": "1"}

_TELL_AFTER = 10.0

_own: list[subprocess.Popen] = []
"""The embedded server, while there is one."""

_URL = layout.STATE / "prefect.url"
_UNFINISHED = "prefect.db.unfinished"
"""File beside a database that is being made."""

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
    _set_defaults()
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
    _set_defaults()
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


def _set_defaults() -> None:
    for key, value in (QUIET | BOUNDED).items():
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
    _set_damaged_aside(home / "prefect.db")
    _forget_unfinished(home)
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
    _own.append(server)
    try:
        yield f"http://127.0.0.1:{port}/api"
    finally:
        _own.remove(server)
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait() -> None:
    """Wait until the API answers; say so when that takes a while.

    Raises:
        UserError: it does not within :data:`STARTUP_LIMIT` seconds, or this process's own server ended.
    """
    url = os.environ["PREFECT_API_URL"].rstrip("/")
    began = time.monotonic()
    told = False
    while True:
        if _own and _own[-1].poll() is not None:
            raise UserError(f"{_log()}: Prefect's server ended as it started: {_last_line()}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                if _own:
                    (_log().parent / _UNFINISHED).unlink(missing_ok=True)
                return
        except (urllib.error.URLError, OSError, ValueError) as error:
            waited = time.monotonic() - began
            if waited > STARTUP_LIMIT:
                where = (
                    f"{_log()}: Prefect's own server" if _own else f"PREFECT_API_URL={url}: the Prefect API"
                )
                raise UserError(f"{where} gave no answer within {STARTUP_LIMIT:.0f} s ({error}).") from None
            if waited > _TELL_AFTER and not told:
                print(
                    f"waiting for the Prefect API at {url}, for {STARTUP_LIMIT:.0f} s at most",
                    file=sys.stderr,
                )
                told = True
            time.sleep(0.1)


def _log() -> Path:
    return Path(os.environ["PREFECT_HOME"]) / "server.log"


def _last_line() -> str:
    lines = _log().read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def _set_damaged_aside(database: Path) -> None:
    """Move a database that was cut short or overwritten out of the way: Prefect's record begins anew."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database)) as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                return
    except sqlite3.DatabaseError:
        pass
    aside = database.with_name(f"{database.name}.damaged-{time.time_ns()}")
    database.rename(aside)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    print(
        f"{database}: is damaged, so Prefect's record begins anew; the old file is now {aside.name}",
        file=sys.stderr,
    )


def _forget_unfinished(home: Path) -> None:
    """Remove a database whose server was killed before it first answered, and mark the one that is made now.

    Prefect makes it by a hundred migrations, and one that was broken off can neither go on nor begin again.
    """
    database, unfinished = home / "prefect.db", home / _UNFINISHED
    if unfinished.exists():
        for suffix in ("", "-wal", "-shm", "-journal"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
    if not database.exists():
        unfinished.touch()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
