"""The outbox: events and to whom each is still owed, in an SQLite database of this workspace.

An event is in it before anything is sent, and stays in it after: so it is told once, whoever finds it again. What was
put in survives ``kill -9`` and a power cut. It grows by a row for each event, of which there are few.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from components.alerts.event import Event
from components.project.layout import STATE
from components.project.sections import AlertTarget
from data.errors import UserError

FOLDER = STATE / "alerts"
FILE = FOLDER / "outbox.db"

BUSY_S = 5
"""Seconds that one process waits for another's few milliseconds in the database."""

LONGEST_PAUSE_S = 300.0
"""Most seconds between two tries of one delivery; the first pauses are shorter, each twice the one before."""

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY, event TEXT NOT NULL, target TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', sent REAL, UNIQUE (event, target)
);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS schedules (
    name TEXT PRIMARY KEY, due REAL NOT NULL, pid INTEGER, started REAL
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Delivery:
    """An event that is owed to a receiver.

    Attributes:
        id: of the event.
        target: the receiver's name in ``params.yaml``.
        kind, title, text: of the event.
        at: when it was put in, Unix time.
        tries: how often it was sent, or nearly: one that was killed may have sent it or not.
        due: when it is to be tried, Unix time.
        reason: why the last try failed; empty where there was none, or it was killed.
    """

    id: str
    target: str
    kind: str
    title: str
    text: str
    at: float
    tries: int
    due: float
    reason: str


class Outbox:
    """The database of the workspace in the working directory, made where there is none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def since(self) -> float:
        """When the outbox was made, Unix time: what happened before is told to nobody."""
        return self.mark("since")

    def put(self, event: Event, targets: Mapping[str, AlertTarget]) -> bool:
        """Owe ``event`` to all ``targets`` that want it, and say whether it is new; what is known stays as it is."""
        with self._connection as changes:
            row = (event.id, event.kind, event.title, event.text, time.time())
            if not changes.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", row).rowcount:
                return False
            for name, target in targets.items():
                if event.kind == "test" or target.wants(event.kind):
                    changes.execute("INSERT INTO deliveries (event, target) VALUES (?, ?)", (event.id, name))
        return True

    def owed(self, targets: Mapping[str, AlertTarget]) -> list[Delivery]:
        """Return what is owed to ``targets``, oldest first."""
        found = self._connection.execute(
            "SELECT event, target, kind, title, text, at, tries, due, reason FROM deliveries"
            " JOIN events ON events.id = event WHERE sent IS NULL ORDER BY number"
        )
        return [Delivery(*row) for row in found if row[1] in targets]

    def begin(self, delivery: Delivery) -> int:
        """Note that it is about to be sent, and return how often it has been."""
        with self._connection as changes:
            changes.execute(
                "UPDATE deliveries SET tries = tries + 1, reason = '' WHERE event = ? AND target = ?",
                _of(delivery),
            )
        return delivery.tries + 1

    def sent(self, delivery: Delivery) -> None:
        """Note that the receiver has it."""
        with self._connection as changes:
            changes.execute(
                "UPDATE deliveries SET sent = ? WHERE event = ? AND target = ?", (time.time(), *_of(delivery))
            )

    def failed(self, delivery: Delivery, reason: str) -> None:
        """Note why the receiver does not have it, and when to try again."""
        due = time.time() + min(2.0**delivery.tries, LONGEST_PAUSE_S)
        with self._connection as changes:
            changes.execute(
                "UPDATE deliveries SET due = ?, reason = ? WHERE event = ? AND target = ?",
                (due, reason, *_of(delivery)),
            )

    def mark(self, name: str) -> float:
        """Return a number that was kept under ``name``; 0 where none was."""
        row = self._connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return row[0] if row else 0.0

    def set_mark(self, name: str, value: float) -> None:
        """Keep a number under ``name``."""
        with self._connection as changes:
            changes.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    @property
    def connection(self) -> sqlite3.Connection:
        """The database itself, for what keeps a table of its own in it."""
        return self._connection


@contextmanager
def opened() -> Iterator[Outbox]:
    """Yield the outbox.

    Raises:
        UserError: its file is damaged, or the disk is full.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(FILE, timeout=BUSY_S)) as connection:
            _make(connection)
            yield Outbox(connection)
    except sqlite3.Error as error:
        raise UserError(f"{FILE}: cannot be used: {error}. If it is damaged, move it aside.") from None


def _make(connection: sqlite3.Connection) -> None:
    """Make what is missing, in one step."""
    if connection.execute("PRAGMA user_version").fetchone()[0]:
        return
    now = time.time()
    connection.executescript(
        f"BEGIN IMMEDIATE;{_TABLES}INSERT OR IGNORE INTO marks VALUES ('since', {now!r});"
        "PRAGMA user_version = 1; COMMIT;"
    )


def _of(delivery: Delivery) -> tuple[str, str]:
    return delivery.id, delivery.target
