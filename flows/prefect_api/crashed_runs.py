"""Runs of this workspace that were killed are not left RUNNING in Prefect for ever."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.states import Crashed

from components.project import layout
from data import atomic
from data.errors import UserError

_IDENTITY = layout.STATE / "workspace.json"


def workspace_tag() -> str:
    """Return the tag that every flow run started from this folder carries, by whatever host name the machine goes.

    A container has another one each time. A copy of the folder has another tag: the file that keeps it knows its inode.
    """
    try:
        kept = json.loads(_IDENTITY.read_text())
        if kept["inode"] == _IDENTITY.stat().st_ino:
            return f"workspace-{kept['id']}"
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        pass
    made = uuid.uuid4().hex[:12]
    with atomic.file(_IDENTITY) as temporary:
        temporary.write_text(json.dumps({"id": made, "inode": temporary.stat().st_ino}))
    return f"workspace-{made}"


def mark_crashed(tag: str) -> int:
    """Mark the flow runs with ``tag`` that Prefect believes running as crashed, and return how many.

    Call it under the lock that says that none of them is alive.

    Raises:
        UserError: the API does not answer, or not as Prefect's does.
    """
    with _telling():
        return _mark(tag)


def tag_enclosing(tag: str) -> None:
    """Give ``tag`` to the flow run within which this process calls a flow, if any: killed, both are.

    Raises:
        UserError: as :func:`mark_crashed`.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    with _telling(), get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, tags=[*context.flow_run.tags, tag])


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of any of Prefect's libraries
        url = os.environ.get("PREFECT_API_URL")
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"PREFECT_API_URL={url}: is up, but does not answer as Prefect's API does: {told}"
        ) from None


def _mark(tag: str) -> int:
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
