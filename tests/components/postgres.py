"""A real PostgreSQL server for the time of the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def binaries() -> Path | None:
    """Return the folder of ``initdb`` and ``pg_ctl``; Debian keeps them off the PATH."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


class Server:
    """A cluster in a folder of its own, on a free port of this machine."""

    def __init__(self) -> None:
        self._bin = binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="darkroom-postgres-"))
        self._as_user, user = _unprivileged()
        if os.geteuid() == 0:
            shutil.chown(self._folder, user)
        self.port = _free_port()
        self._call("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "--no-sync")
        self.start()

    def address(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k '' -c fsync=off -c max_connections=400"
        self._call("pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", options)

    def go_away(self) -> None:
        """Break all connections and take no more until :meth:`start`."""
        self._call("pg_ctl", "stop", "-m", "immediate", "-D", "data")

    @contextmanager
    def pooler(self, program: str) -> Iterator[int]:
        """Run pgbouncer before the server, lending its connections for a transaction each; yield its port."""
        port = _free_port()
        (self._folder / "users").write_text('"postgres" ""\n')
        (self._folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = users\n"
            "pool_mode = transaction\n"
        )
        with (self._folder / "pooler.log").open("w") as log:
            pooler = subprocess.Popen(
                [program, "pgbouncer.ini"],
                cwd=self._folder,
                preexec_fn=self._as_user,
                stdout=log,
                stderr=log,
            )
        try:
            while pooler.poll() is None and " up: PgBouncer" not in (self._folder / "pooler.log").read_text():
                time.sleep(0.05)
            yield port
        finally:
            pooler.terminate()
            pooler.wait()

    def stop(self) -> None:
        self.go_away()
        shutil.rmtree(self._folder)

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        # pg_ctl's server inherits the output: a pipe would never end.
        with (self._folder / "calls").open("ab") as output:
            done = subprocess.run(
                command, cwd=self._folder, preexec_fn=self._as_user, stdout=output, stderr=output
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {(self._folder / 'calls').read_text()[-2000:]}")


def _unprivileged() -> tuple[Callable[[], None] | None, str]:
    """Return what makes a child an ordinary user, which PostgreSQL insists on, and that user."""
    if os.geteuid() != 0:
        return None, ""
    names = [entry.pw_name for entry in pwd.getpwall()]
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")

    def become() -> None:
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)

    return become, entry.pw_name


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
