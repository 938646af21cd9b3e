"""What Prefect's API knows of runs, asked over HTTP: importing its client takes longer than most tests."""

from __future__ import annotations

import json
import urllib.request
from typing import Any


def runs(url: str, **which: dict) -> list[dict[str, Any]]:
    """Return the flow runs that the API at ``url`` knows; ``which`` are filters as it takes them."""
    return _ask(f"{url}/flow_runs/filter", which)


def cancel(url: str, run: dict[str, Any]) -> None:
    """Ask for the end of a flow run."""
    _ask(f"{url}/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})


def deployments(url: str, pool: str) -> list[dict[str, Any]]:
    """Return the deployments on a work pool."""
    return _ask(f"{url}/deployments/filter", {"work_pools": {"name": {"any_": [pool]}}})


def make_pool(url: str, name: str, kind: str = "process", template: dict | None = None) -> None:
    """Make a work pool that has no worker."""
    _ask(f"{url}/work_pools/", {"name": name, "type": kind, "base_job_template": template or {}})


def pool(url: str, name: str) -> dict[str, Any]:
    """Return a work pool."""
    return next(pool for pool in _ask(f"{url}/work_pools/filter", {}) if pool["name"] == name)


def _ask(url: str, body: dict) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
