"""A lock that holds across machines: advisory locks of PostgreSQL, which go with the connection that has them.

The connection is the lock's own and stays idle, so a process that is killed frees its locks at once, and a machine
that goes down frees them as soon as the server misses its answers.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys

import sqlalchemy

from data.errors import UserError

_KEEPALIVE = {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}
"""Seconds before the other end is asked, between two questions, and how many stay unanswered: a minute in all."""

_SET = """
SELECT set_config(wanted.name, wanted.value, false)
FROM (VALUES ('idle_session_timeout', '0'), ('statement_timeout', '0'), ('lock_timeout', :limit_ms),
             ('tcp_keepalives_idle', '20'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'))
     AS wanted (name, value)
WHERE wanted.name IN (SELECT name FROM pg_settings)
"""
"""Settings of this session; a server of an older release lacks some."""

_HOLDER = """
SELECT activity.application_name, activity.pid
FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
WHERE held.locktype = 'advisory' AND held.objsubid = 1 AND held.granted AND activity.datname = current_database()
  AND held.database = activity.datid AND (held.classid::bigint << 32) | held.objid::bigint = :key
"""

_TIMED_OUT = "55P03"


class DatabaseLock:
    """Locks on one connection to a PostgreSQL server, held until :meth:`close`.

    Each method that asks the server raises ``sqlalchemy.exc.SQLAlchemyError`` when that does not answer.
    """

    def __init__(self, address: str, limit_s: float) -> None:
        """Connect to the server of ``address``; each lock is waited for ``limit_s`` seconds at most.

        Raises:
            UserError: a pooler is in between, such as pgbouncer, which lends one connection to many in turns.
        """
        self._limit_s = limit_s
        who = f"darkroom {platform.node()} {os.getpid()}"[:63]
        engine = sqlalchemy.create_engine(
            address,
            poolclass=sqlalchemy.NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"application_name": who, **_KEEPALIVE},
        )
        self._connection = engine.connect()
        try:
            self._ask(_SET, limit_ms=str(int(limit_s * 1000)))
            self._require_direct(engine.url)
            self._schema = self._ask("SELECT current_schema()")
        except BaseException:
            self.close()
            raise

    def take(self, name: str) -> None:
        """Take the lock ``name``; say for whom it waits when another has it.

        Raises:
            UserError: another process held it for all of the limit.
        """
        key = self._key(name)
        if self._ask("SELECT pg_try_advisory_lock(:key)", key=key):
            return
        print(
            f"registry: {name}: waits for {self._holder(key)}, for {self._limit_s:.0f} s at most",
            file=sys.stderr,
        )
        try:
            self._ask("SELECT pg_advisory_lock(:key)", key=key)
        except sqlalchemy.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _TIMED_OUT:
                raise
            raise UserError(
                f"{name}: {self._holder(key)} has held this lock of the registry for {self._limit_s:.0f} s. "
                "End it and try again."
            ) from None

    def require(self) -> None:
        """See that the server still has the connection, and with it the locks."""
        self._ask("SELECT 1")

    def close(self) -> None:
        """Free the locks. The connection may be broken by now."""
        self._connection.invalidate()  # it is closed without a word to the server
        self._connection.close()

    def _require_direct(self, url: sqlalchemy.URL) -> None:
        # A pooler gives each of its clients a process id of its own making.
        mine = self._connection.connection.dbapi_connection.info.backend_pid
        if mine != self._ask("SELECT pg_backend_pid()"):
            raise UserError(
                f"MLFLOW_TRACKING_URI={url.render_as_string()}: is a pooler of connections. Locks "
                "hold on a direct connection only: name the address of PostgreSQL itself."
            )

    def _key(self, name: str) -> int:
        """Return the lock's number: the server keeps one set of them for each database."""
        digest = hashlib.sha256(f"darkroom/{self._schema}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def _holder(self, key: int) -> str:
        found = self._connection.execute(sqlalchemy.text(_HOLDER), {"key": key}).first()
        return f"{found.application_name} (connection {found.pid})" if found else "another process"

    def _ask(self, question: str, **values: object) -> object:
        return self._connection.execute(sqlalchemy.text(question), values).scalar()
