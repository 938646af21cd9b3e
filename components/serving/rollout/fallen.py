"""Canaries that fell back: a file for each, so that all workers know of it, and a server that starts again, too.

It is about two bundles and what was demanded: where one of these changes, there is another canary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from components.serving.rollout.state import FOLDER
from components.serving.rollout.trial import Demand
from data import atomic


class Fallen(NamedTuple):
    """A canary that fell back.

    Attributes:
        model: its model.
        version: its number, as text.
        champion, challenger: SHA-256 of the two bundles.
        reasons: why.
    """

    model: str
    version: str
    champion: str
    challenger: str
    reasons: tuple[str, ...]


def write(fell: Fallen, demand: Demand) -> None:
    """Say that a challenger is to answer no more, and why."""
    atomic.write_json(_path(fell.champion, fell.challenger, demand), fell._asdict())


def since(moment: float) -> Iterator[Fallen]:
    """Yield those that fell back at the Unix time ``moment`` or later."""
    for path in sorted((FOLDER / "fallen").glob("*.json")):
        if path.stat().st_mtime >= moment:
            values = json.loads(path.read_text())
            yield Fallen(**values | {"reasons": tuple(values["reasons"])})


def read(champion: str, challenger: str, demand: Demand) -> tuple[str, ...]:
    """Return why it is to answer no more; empty where it has not fallen back."""
    try:
        return tuple(json.loads(_path(champion, challenger, demand).read_text())["reasons"])
    except FileNotFoundError:
        return ()


def _path(champion: str, challenger: str, demand: Demand) -> Path:
    asked = json.dumps([champion, challenger, asdict(demand)], sort_keys=True)
    return FOLDER / "fallen" / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"
