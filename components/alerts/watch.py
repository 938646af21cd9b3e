"""A dead man's switch: schedules that should have run by now and did not, whatever kept them from it.

Whoever keeps schedules says when each is due next, and again when a run begins and ends. A time that passes without a
run is told once; the next run sets the switch anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import psutil

from components.alerts.event import Event
from components.alerts.outbox import Outbox
from components.project.sections import AlertsPolicy


def expect(outbox: Outbox, due: Mapping[str, float]) -> None:
    """Expect each schedule at a Unix time, and no others."""
    with outbox.connection as changes:
        changes.execute("DELETE FROM schedules")
        changes.executemany("INSERT INTO schedules (name, due) VALUES (?, ?)", due.items())


def began(outbox: Outbox, name: str, due: float) -> None:
    """Note that this process runs a schedule, which is expected again at ``due`` once that is over."""
    process = psutil.Process()
    _set(outbox, name, due, process.pid, process.create_time())


def ended(outbox: Outbox, name: str, due: float) -> None:
    """Note that the run of a schedule is over, which is expected again at ``due``."""
    _set(outbox, name, due, None, None)


def collect(outbox: Outbox, policy: AlertsPolicy, now: float | None = None) -> int:
    """Put in the schedules whose time passed without a run, and return how many were new."""
    now = time.time() if now is None else now
    return sum(outbox.put(event, policy.to) for event in _missed(outbox, 60 * policy.late, now))


def _missed(outbox: Outbox, late_s: float, now: float) -> Iterator[Event]:
    rows = outbox.connection.execute("SELECT name, due, pid, started FROM schedules ORDER BY name").fetchall()
    for name, due, pid, started in rows:
        if due + late_s < now and not _is_alive(pid, started):
            at = datetime.fromtimestamp(due, UTC).isoformat(sep=" ", timespec="minutes")
            told = (
                f"It was due at {at}, and no run has begun and ended since."
                f"\nIs darkroom schedule running, and its machine up? It is in {os.getcwd()}."  # noqa: PTH109
                if pid is None
                else f"Its last run was killed, and the time of the next, {at}, has passed."
            )
            yield Event(f"schedule:{name}:{due!r}", "schedule", f"schedule {name} did not run", told)


def _set(outbox: Outbox, name: str, due: float, pid: int | None, started: float | None) -> None:
    with outbox.connection as changes:
        changes.execute("INSERT OR REPLACE INTO schedules VALUES (?, ?, ?, ?)", (name, due, pid, started))


def _is_alive(pid: int | None, started: float | None) -> bool:
    """Whether a process runs that began at ``started``: ids of processes are given again."""
    if pid is None:
        return False
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1
    except psutil.Error:
        return False
