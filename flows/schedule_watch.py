"""Says when schedules are due, so that people are told of one that does not run (:mod:`components.alerts.watch`)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from components.project import params
from components.project.sections import AlertsPolicy, SchedulePolicy
from data.errors import UserError
from flows import telling


def expect(schedules: Mapping[str, SchedulePolicy], policy: AlertsPolicy) -> None:
    """Expect each of ``schedules`` at its next time, and no others."""
    if not policy.to:
        return
    from components.alerts import outbox, watch
    from flows.prefect_api import cron

    with outbox.opened() as box:
        watch.expect(box, {name: cron.next_time(schedule) for name, schedule in schedules.items()})


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Note that the schedule ``name`` runs, and that it has run; tell people where a mistake keeps it from running."""
    telling.quietly(partial(_note, name, began=True), _to_stderr)
    try:
        yield
    except UserError as error:
        with telling.people():
            telling.quietly(partial(_failed, name, str(error)), _to_stderr)
        raise
    finally:
        telling.quietly(partial(_note, name, began=False), _to_stderr)


def _note(name: str, *, began: bool) -> None:
    from components.alerts import outbox, watch
    from flows.prefect_api import cron

    if not params.load_alerts().to:
        return
    schedule = params.load_schedules().get(name)
    if schedule is not None:
        with outbox.opened() as box:
            (watch.began if began else watch.ended)(box, name, cron.next_time(schedule))


def _failed(name: str, message: str) -> None:
    from components.alerts import outbox
    from components.alerts.event import Event

    policy = params.load_alerts()
    if policy.to:
        with outbox.opened() as box:
            key, title = f"schedule:{name}:failed:{time.time()!r}", f"schedule {name} could not run"
            box.put(Event(key, "schedule", title, message), policy.to)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
