"""Has people told of what a command did, as ``alerts:`` of ``params.yaml`` says; no command waits for it for long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from components.project import params
from components.project.sections import AlertsPolicy
from data.errors import first_line

WAIT_S = 10.0
"""Most seconds that a command or a run waits at its end for what it has sent."""


@contextmanager
def people() -> Iterator[None]:
    """Have people told of what the block records, also where it fails; what cannot be told is told here."""
    policy = quietly(params.load_alerts, _to_stderr) or AlertsPolicy()
    if not policy.to:
        yield
        return
    from components.alerts import outbox

    def begin() -> None:
        with outbox.opened():  # made now, it knows of what follows
            pass

    quietly(begin, _to_stderr)
    try:
        yield
    finally:
        quietly(lambda: _tell(policy), _to_stderr)


def _tell(policy: AlertsPolicy) -> None:
    from components.alerts import collecting, outbox
    from components.alerts.sender import Sender

    with outbox.opened() as box:
        try:
            collecting.collect(box, policy)
        finally:
            Sender(WAIT_S).finish(WAIT_S, lambda: bool(box.owed(policy.to)))
            if left := len(box.owed(policy.to)):
                _to_stderr(waiting(left))


def waiting(number: int) -> str:
    """Return the line about alerts that could not be sent."""
    return f"{number} {'alert waits' if number == 1 else 'alerts wait'} to be sent: darkroom alerts says why"


def quietly(work: Callable[[], object], tell: Callable[[str], object]) -> object:
    """Do ``work`` and return what it returns; where it fails, ``tell`` that, for nothing depends on it."""
    try:
        return work()
    except Exception as error:  # of MLflow, SQLAlchemy, SQLite or the settings
        tell(f"alerts: nobody can be told: {first_line(error)}")
        return None


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
