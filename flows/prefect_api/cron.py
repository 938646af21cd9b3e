"""When a schedule is due, as Prefect reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from components.project import params
from components.project.sections import SchedulePolicy
from data.errors import UserError


def check(name: str, policy: SchedulePolicy) -> None:
    """Check the times of the schedule ``name`` of ``params.yaml``.

    Raises:
        UserError: cron knows no such times, or they never come, such as 30 February.
    """
    # Imported here: few projects have schedules. It is what finds the times in Prefect's server.
    from prefect._vendor.croniter import CroniterBadDateError, croniter
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    where = f"{params.FILE}: schedules.{name}.cron"
    try:
        CronSchedule(cron=policy.cron, timezone=policy.timezone)
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"{where}: {told} (got {policy.cron!r})") from None
    try:
        croniter(policy.cron, datetime.now(UTC)).get_next()
    except CroniterBadDateError:
        raise UserError(f"{where}: {policy.cron!r} never comes: no month has such a day.") from None


def next_time(policy: SchedulePolicy) -> float:
    """Return when a schedule is due next, Unix time; ``policy`` was checked."""
    from prefect._vendor.croniter import croniter

    return croniter(policy.cron, datetime.now(ZoneInfo(policy.timezone))).get_next(float)
