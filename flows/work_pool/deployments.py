"""Deployments of this workspace on a work pool: one for each schedule, and one for runs by hand."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import DeploymentApplyError, EntrypointType
from prefect.runner.storage import LocalStorage

from components.project.sections import SchedulePolicy
from data.errors import UserError, first_line
from flows.prefect_api import schedule_tags
from flows.prefect_api.server import BOUNDED
from flows.scheduled_retraining import ONE_AT_A_TIME, delete_others
from flows.work_pool.flow import worker_retraining

ENVIRONMENT = BOUNDED | {"PREFECT_LOGGING_TO_API_ENABLED": "true", "PREFECT_LOGGING_LEVEL": "INFO"}
"""Variables of each run, whatever its worker has: its lines are logs of Prefect's."""


def by_hand(pool: str, folder: Path) -> UUID:
    """Register the deployment of runs by hand, and return its id.

    Args:
        pool: name of the work pool.
        folder: the project's folder on the worker's machine.

    Raises:
        UserError: the server refuses it.
    """
    return _apply(
        pool, folder, "by-hand", f"Runs by hand of {_here()}", tags=[f"by-hand-{schedule_tags.identity()}"]
    )


def of_schedules(pool: str, folder: Path, schedules: Mapping[str, SchedulePolicy]) -> None:
    """Register a deployment for each schedule; those of this workspace that are not among them are deleted.

    Args:
        pool: name of the work pool.
        folder: the project's folder on the worker's machine.
        schedules: by their names.

    Raises:
        UserError: the server refuses one.
    """
    kept = {
        _apply(
            pool,
            folder,
            name,
            f"Schedule {name!r} of {_here()}",
            schedule=CronSchedule(cron=policy.cron, timezone=policy.timezone),
            parameters={"models": list(policy.models)},
            concurrency_limit=ONE_AT_A_TIME,
            tags=[schedule_tags.on_a_pool()],
        )
        for name, policy in schedules.items()
    }
    delete_others(kept)


def _here() -> str:
    return f"{Path.cwd()} on {platform.node()}"


def _apply(pool: str, folder: Path, name: str, description: str, **told: Any) -> UUID:
    deployment = worker_retraining.to_deployment(
        # On a server that a team shares, other folders have schedules of the same name.
        f"{name}-{schedule_tags.identity()}",
        description=description,
        entrypoint_type=EntrypointType.MODULE_PATH,
        work_pool_name=pool,
        job_variables={"env": ENVIRONMENT},
        **told,
    )
    deployment.storage = LocalStorage(str(folder))
    try:
        return deployment.apply()
    except DeploymentApplyError as error:
        raise UserError(f"--pool {pool}: the Prefect server refuses {name!r}: {first_line(error)}") from None
