"""Locks of this workspace: file locks, which the kernel drops when their holder dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.project import layout
from data.errors import UserError

if TYPE_CHECKING:
    from filelock import BaseFileLock

RUN = "run"
"""Held by the one retraining that goes on, or by what deletes what is not needed."""

REPRODUCE = "reproduce"
"""Held by the one reproduction that goes on: it works in ``.darkroom`` with objects that nothing else may need."""

SCHEDULE = "schedule"
"""Held by the one process that keeps the schedules."""

SERVER = "prefect"
"""Held by whoever has started the embedded Prefect server: two must not share its database."""


def hold(name: str, *, wait: bool = False) -> BaseFileLock:
    """Return a lock, held; with ``wait`` it is waited for.

    Raises:
        UserError: another process has it.
    """
    held = take(name, wait=wait)
    if held is None:
        raise UserError(
            f"{layout.STATE / name}.lock: another `darkroom {name}` goes on in this folder, or `darkroom gc`. "
            "Wait for it, or stop it."
        )
    return held


def take(name: str, *, wait: bool = False) -> BaseFileLock | None:
    """Return a lock, held; None where another process has it and it is not to be waited for."""
    from filelock import FileLock, Timeout

    layout.STATE.mkdir(parents=True, exist_ok=True)
    lock = FileLock(layout.STATE / f"{name}.lock")
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        return None
    return lock
