"""``darkroom schedule``: keeps the schedules of params.yaml until it is ended."""

from __future__ import annotations

import os
import sys
import uuid
from typing import Annotated

import typer

from components.project import params
from components.project.sections import Params, SchedulePolicy
from data.errors import UserError, nearest
from flows import schedule_watch
from flows.cli.app import Pool, WorkerFolder
from flows.prefect_api import address
from flows.processes import locks, reaper
from flows.work_pool import commands

_EXAMPLE = """{file}: no schedules. Add some, such as:
schedules:
  nightly: {{cron: "0 3 * * *", timezone: Europe/Berlin}}
  hourly: {{cron: "0 * * * *", models: [{model}]}}"""


def schedule(
    names: Annotated[
        list[str] | None, typer.Argument(help="Schedules of params.yaml; all of them by default.")
    ] = None,
    pool: Pool = None,
    worker_folder: WorkerFolder = None,
) -> None:
    """Retrain at the times of schedules: in params.yaml. Runs until it is stopped; with --pool, workers do it."""
    commands.check(pool, worker_folder)
    settings = params.load()
    if not settings.schedules:
        model = next(iter(settings.all_models))
        raise UserError(_EXAMPLE.format(file=params.FILE, model=model))
    for name in names or ():
        if name not in settings.schedules:
            known = nearest(name, settings.schedules)
            raise UserError(f"{params.FILE}: schedules: there is no {name!r}.{known}")
    chosen = {name: settings.schedules[name] for name in names or settings.schedules}
    address.tidy()
    held = locks.hold(locks.SCHEDULE)
    try:
        if pool is None:
            _keep(settings, chosen)
        else:
            commands.schedule(settings, chosen, pool, worker_folder)
            schedule_watch.expect({}, settings.alerts)
            _tell(chosen)
    finally:
        held.release()


def _keep(settings: Params, chosen: dict[str, SchedulePolicy]) -> None:
    from flows.prefect_api import server

    with reaper.guard(uuid.uuid4().hex), server.keeping_schedules():
        # Imported here: Prefect reads its settings on import.
        from flows import scheduled_retraining
        from flows.workspace import settings_check

        settings_check.check(settings)
        deployments = scheduled_retraining.deployments(chosen)
        server.wait()
        schedule_watch.expect(chosen, settings.alerts)
        _tell(chosen)
        print(
            f"Prefect: {os.environ['PREFECT_API_URL'].removesuffix('/api')}. Ctrl+C ends it.", file=sys.stderr
        )
        scheduled_retraining.serve(deployments)


def _tell(chosen: dict[str, SchedulePolicy]) -> None:
    for name, policy in chosen.items():
        what = ", ".join(policy.models) or "all models"
        print(f"{name}: {what} at {policy.cron!r}, {policy.timezone}", file=sys.stderr)
