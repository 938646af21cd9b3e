"""``--pool`` of ``darkroom run`` and ``darkroom schedule``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.project import params
from components.project.sections import Params, SchedulePolicy
from data.errors import UserError
from flows.prefect_api import address, server

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def check(pool: str | None, folder: Path | None) -> None:
    """Check what was given of a work pool.

    Raises:
        UserError: a folder on a worker, and no pool; or no server is named that has pools.
    """
    if pool is None:
        if folder is not None:
            raise UserError("--worker-folder: is the folder on a worker's machine, so it needs --pool.")
        return
    if folder is not None and not folder.is_absolute():
        raise UserError(
            f"--worker-folder {folder}: has to be a whole path, from the root of the worker's machine."
        )
    if address.tidy() is None:
        raise UserError(
            "--pool: a work pool is kept by a Prefect server that its workers reach, too. Set "
            f"{address.VARIABLE} to its API, such as http://prefect:4200/api."
        )


def run(names: list[str], pool: str, folder: Path | None, **options: Any) -> int:
    """Have a worker of ``pool`` do ``darkroom run``, and follow it to its end; interrupted, it is cancelled.

    Args:
        names: as of :func:`flows.run.run`; the project on the worker's machine has to have them, too.
        pool: name of a work pool.
        folder: the project's folder on the worker's machine; the same path as here when None.
        options: ``force``, ``engine``, ``as_json``, as of :func:`flows.run.run`.

    Returns:
        The exit status, as of a run here.

    Raises:
        UserError: there is no such pool or model, or Prefect's API fails.
    """
    settings = params.load()
    for name in names:
        settings.model(name)
    with server.api():
        server.wait()
        # Imported here: Prefect reads its settings on import.
        from prefect.client.orchestration import get_client

        from flows.work_pool import deployments
        from flows.work_pool import pool as pools
        from flows.work_pool.following import Follower

        with get_client(sync_client=True) as client:
            found = pools.find(client, pool)
            with pools.telling():
                deployment = deployments.by_hand(pool, folder or Path.cwd())
                run = client.create_flow_run_from_deployment(
                    deployment, parameters={"models": names} | options
                )
            print(f"{pool}: sent as {run.name}", file=sys.stderr)
            follower = Follower(client, run.id, found)
            signal.signal(signal.SIGTERM, _terminate)
            try:
                state = follower.follow()
                if not follower.has_begun and not state.is_cancelled():
                    where = folder or Path.cwd()
                    print(
                        f"The run did not begin. Is the project in {where} on the worker's machine?",
                        file=sys.stderr,
                    )
                return _status(state)
            except (KeyboardInterrupt, SystemExit):
                with pools.telling():
                    follower.cancel()
                raise


def schedule(settings: Params, chosen: Mapping[str, SchedulePolicy], pool: str, folder: Path | None) -> None:
    """Register schedules on a work pool, whose workers keep them from then on.

    Args:
        settings: the project's.
        chosen: the schedules, by their names.
        pool: name of a work pool.
        folder: the project's folder on the worker's machine; the same path as here when None.

    Raises:
        UserError: there is no such pool, a schedule is wrong, or Prefect's API fails.
    """
    with server.api():
        server.wait()
        from prefect.client.orchestration import get_client

        from flows.work_pool import deployments
        from flows.work_pool import pool as pools
        from flows.workspace import settings_check

        settings_check.check(settings)
        with get_client(sync_client=True) as client:
            pools.find(client, pool)
        with pools.telling():
            deployments.of_schedules(pool, folder or Path.cwd(), chosen)


def _status(state: State) -> int:
    from flows.work_pool.flow import REFUSED

    if state.is_completed():
        return 0
    if state.name == REFUSED:
        raise UserError(f"on the worker: {state.message}")
    print(f"{state.name}: {state.message}" if state.message else state.name, file=sys.stderr)
    return 1


def _terminate(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)
