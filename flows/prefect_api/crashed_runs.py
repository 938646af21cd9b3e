"""Runs of this workspace that were killed are not left RUNNING in Prefect for ever."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed


def workspace_tag() -> str:
    """Return the tag that every flow run started from this folder of this machine carries."""
    place = f"{platform.node()}:{Path.cwd()}"
    return f"workspace-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def mark_crashed(tag: str) -> int:
    """Mark the flow runs with ``tag`` that Prefect believes running as crashed, and return how many.

    Call it under the lock that says that none of them is alive.
    """
    unfinished = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    mine = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[tag]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=unfinished)),
    )
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=mine)
        for run in runs:
            client.set_flow_run_state(run.id, Crashed(message="Its process was killed."), force=True)
    return len(runs)
