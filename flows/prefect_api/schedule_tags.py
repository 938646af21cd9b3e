"""Tags of the deployments that a workspace makes of its schedules; its runs by hand have another one."""

from __future__ import annotations

from flows.prefect_api.crashed_runs import workspace_tag


def identity() -> str:
    """Return what tells this workspace from all others that use one Prefect server."""
    return workspace_tag().rpartition("-")[2]


def kept_here() -> str:
    """Return the tag of those that ``darkroom schedule`` keeps in this folder: none lives when that has ended."""
    return f"schedule-{identity()}"


def on_a_pool() -> str:
    """Return the tag of those on a work pool."""
    return f"schedule-on-a-pool-{identity()}"
