"""Scheduled retraining: a Prefect deployment for each schedule, served by one process of this workspace.

Prefect says when; what is done then is what ``darkroom run`` does. While a retraining goes on, the times that its own
schedule comes to are let pass, so that runs never pile up; those of another schedule wait for it. What was missed while
nobody kept the schedules is not made up for.
"""

from __future__ import annotations

import asyncio
import platform
import signal
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.runner import Runner
from prefect.runtime import deployment as of_this_run

from components.project.sections import SchedulePolicy
from flows import run, schedule_watch
from flows.prefect_api import schedule_tags
from flows.prefect_api.crashed_runs import mark_crashed

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


class ScheduledRunFailed(Exception):
    """A step of a scheduled retraining failed; the flow run within it says which."""


@flow(name="scheduled-retraining", persist_result=False)
def scheduled_retraining(models: list[str]) -> None:
    """Do what ``darkroom run`` does, once no other run goes on in this folder.

    Args:
        models: names under ``models:`` of ``params.yaml``; all of them when empty.

    Raises:
        ScheduledRunFailed: a step failed.
        UserError: the project's files hold a mistake.
    """
    with schedule_watch.watched(_name()):
        if run.run(models, force=False, as_json=False, wait=True):
            raise ScheduledRunFailed("a step failed")


def _name() -> str:
    """Return the name of the schedule in ``params.yaml`` that this flow run is of."""
    return (of_this_run.name or "").removesuffix(f"-{schedule_tags.identity()}")


def deployments(schedules: Mapping[str, SchedulePolicy]) -> list[RunnerDeployment]:
    """Return a deployment for each schedule."""
    return [_deployment(name, policy) for name, policy in schedules.items()]


def serve(served: list[RunnerDeployment]) -> None:
    """Register deployments, and run what they are due for until the process is told to end.

    Their schedules are paused when it ends. What this workspace registered earlier and does not serve any more is
    deleted; runs that were killed with an earlier process are marked as crashed. Call it under the lock ``schedule``.
    """
    mark_crashed(schedule_tags.kept_here())
    runner = Runner(name="darkroom-schedule")
    delete_others({runner.add_deployment(deployment) for deployment in served})
    asyncio.run(_until_ended(runner))


def delete_others(kept: set[UUID]) -> None:
    """Delete the deployments of this workspace's schedules that are not ``kept``, also those on a work pool."""
    tags = [schedule_tags.kept_here(), schedule_tags.on_a_pool()]
    mine = DeploymentFilter(tags=DeploymentFilterTags(any_=tags))
    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments(deployment_filter=mine):
            if deployment.id not in kept:
                client.delete_deployment(deployment.id)


async def _until_ended(runner: Runner) -> None:
    """Run ``runner`` until the process is told to end; runs that go on are cancelled then."""
    told = asyncio.Event()
    work = asyncio.create_task(runner.start())
    await asyncio.sleep(0)  # by now it has a handler for SIGTERM, from which it cannot stop itself
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    ending = asyncio.create_task(told.wait())
    await asyncio.wait([work, ending], return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        await runner.astop()
    await work


def _deployment(name: str, policy: SchedulePolicy) -> RunnerDeployment:
    return scheduled_retraining.to_deployment(
        # On a server that a team shares, other folders have schedules of the same name.
        f"{name}-{schedule_tags.identity()}",
        schedule=CronSchedule(cron=policy.cron, timezone=policy.timezone),
        parameters={"models": list(policy.models)},
        concurrency_limit=ONE_AT_A_TIME,
        tags=[schedule_tags.kept_here()],
        description=f"Schedule {name!r} of {Path.cwd()} on {platform.node()}",
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
