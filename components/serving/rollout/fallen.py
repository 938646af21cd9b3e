"""Canaries that fell back: a file for each, so that all workers know of it, and a server that starts again, too.

It is about two bundles and what was demanded: where one of these changes, there is another canary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from components.serving.rollout.state import FOLDER
from components.serving.rollout.trial import Demand
from data import atomic


def write(champion: str, challenger: str, demand: Demand, reasons: Sequence[str]) -> None:
    """Say why the ``challenger`` of a ``champion``, both by their bundles' hashes, is to answer no more."""
    atomic.write_json(_path(champion, challenger, demand), {"reasons": list(reasons)})


def read(champion: str, challenger: str, demand: Demand) -> tuple[str, ...]:
    """Return why it is to answer no more; empty where it has not fallen back."""
    try:
        return tuple(json.loads(_path(champion, challenger, demand).read_text())["reasons"])
    except FileNotFoundError:
        return ()


def _path(champion: str, challenger: str, demand: Demand) -> Path:
    asked = json.dumps([champion, challenger, asdict(demand)], sort_keys=True)
    return FOLDER / "fallen" / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"
