"""A work pool, as the Prefect server knows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import WorkerStatus, WorkPool
from prefect.exceptions import ObjectNotFound, PrefectException

from data.errors import UserError, first_line, nearest


def find(client: SyncPrefectClient, name: str) -> WorkPool:
    """Return the pool ``name``; say so where nothing would run what is sent there now.

    Raises:
        UserError: there is no such pool, or the API fails.
    """
    with telling():
        try:
            pool = client.read_work_pool(name)
        except ObjectNotFound:
            known = [pool.name for pool in client.read_work_pools()]
            raise UserError(
                f"--pool {name}: the Prefect server has no such work pool.{nearest(name, known)} "
                f"To make it: prefect work-pool create {name} --type process"
            ) from None
        if pool.is_paused:
            print(f"{name}: the pool is paused. prefect work-pool resume {name}", file=sys.stderr)
        elif not has_worker(client, pool):
            print(
                f"{name}: no worker is online. On its machine: prefect worker start --pool {name}",
                file=sys.stderr,
            )
    return pool


def has_worker(client: SyncPrefectClient, pool: WorkPool) -> bool:
    """Say whether something takes work from ``pool``: a worker that is online, or the server itself."""
    if pool.is_push_pool or pool.is_managed_pool:
        return True
    workers = client.read_workers_for_work_pool(pool.name)
    return any(worker.status == WorkerStatus.ONLINE for worker in workers)


@contextmanager
def telling() -> Iterator[None]:
    """Turn a failure of Prefect's API into a message.

    Raises:
        UserError: the API failed in the block.
    """
    try:
        yield
    except (httpx.HTTPError, PrefectException) as error:
        url = os.environ.get("PREFECT_API_URL")
        raise UserError(f"PREFECT_API_URL={url}: {type(error).__name__}: {first_line(error)}") from None
