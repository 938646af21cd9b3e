"""How the workers of a server count as one, and how others see what was counted: each writes its counters to a file.

Whichever worker is asked adds what the others wrote last, a second ago at most. ``darkroom status`` and the
gate read what was counted about challengers (:mod:`.tried`), the follower what a worker refused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.serving.rollout.state import FOLDER, RejectedVersion
from components.serving.telemetry.counters import Metrics

EVERY_S = 1.0
CANARY_S = 0.2
"""Seconds between two looks while challengers answer requests: all workers fall back within twice that and a little."""
_LIVE_S = 10.0
_REFUSED = "refused"


class SharedCounters:
    """The counters of one worker, or of another process, among those of its server."""

    def __init__(self, port: int, number: int | str) -> None:
        self._folder, self._port = FOLDER / "counters", port
        self._own = self._folder / f"{port}-{number}.json"

    def write(self, values: dict[str, Any], refused: Mapping[str, RejectedVersion]) -> None:
        """Write this worker's counters, and what it refuses. They may be lost in a power cut, like those in memory."""
        values = values | {_REFUSED: {name: asdict(refusal) for name, refusal in refused.items()}}
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._own.with_suffix(".tmp")
        temporary.write_text(json.dumps(values))
        temporary.replace(self._own)

    def total(self, values: Mapping[str, Any]) -> Metrics:
        """Return this worker's counters together with those of the others."""
        total = Metrics()
        total.merge(values)
        for path in self._folder.glob(f"{self._port}-*.json"):
            if path != self._own and _is_live(path):
                total.merge(json.loads(path.read_text()))
        return total


def forget_dead(port: int) -> None:
    """Remove the counters of servers that are gone, and of an earlier one on this port."""
    for path in (FOLDER / "counters").glob("*"):
        if path.name.startswith(f"{port}-") or not _is_live(path):
            path.unlink(missing_ok=True)


def refusals() -> dict[str, RejectedVersion]:
    """Return what workers of this project that run now refuse, by model; of several workers' one."""
    found = {}
    for path in sorted((FOLDER / "counters").glob("*.json")):
        with suppress(FileNotFoundError):  # a server that starts takes the files of an earlier one away
            if _is_live(path):
                refused = json.loads(path.read_text()).get(_REFUSED, {})
                found |= {name: RejectedVersion(**refusal) for name, refusal in refused.items()}
    return found


def _is_live(path: Path) -> bool:
    """Whether the worker of a file still writes it."""
    return time.time() - path.stat().st_mtime < _LIVE_S


def everything() -> Metrics:
    """Return what all servers of this project counted since they started."""
    total = Metrics()
    for path in sorted((FOLDER / "counters").glob("*.json")):
        total.merge(json.loads(path.read_text()))
    return total
