"""How the workers of a server count as one, and how others see what was counted: each writes its counters to a file.

Whichever worker is asked adds what the others wrote last, a second ago at most. ``darkroom status`` and the
gate read what was counted about challengers.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from components.serving.rollout.state import FOLDER
from components.serving.telemetry.counters import Metrics

EVERY_S = 1.0
_LIVE_S = 10.0


class SharedCounters:
    """The counters of one worker among those of its server."""

    def __init__(self, port: int, number: int, metrics: Metrics) -> None:
        self._folder, self._port, self._metrics = FOLDER / "counters", port, metrics
        self._own = self._folder / f"{port}-{number}.json"

    def write(self, values: dict[str, Any]) -> None:
        """Write this worker's counters. They may be lost in a power cut, like those in memory."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._own.with_suffix(".tmp")
        temporary.write_text(json.dumps(values))
        temporary.replace(self._own)

    def total(self) -> Metrics:
        """Return this worker's counters together with those of the others."""
        total = Metrics()
        total.merge(self._metrics.to_json())
        for path in self._folder.glob(f"{self._port}-*.json"):
            if path != self._own and time.time() - path.stat().st_mtime < _LIVE_S:
                total.merge(json.loads(path.read_text()))
        return total


def forget_dead(port: int) -> None:
    """Remove the counters of servers that are gone, and of an earlier one on this port."""
    for path in (FOLDER / "counters").glob("*"):
        if path.name.startswith(f"{port}-") or time.time() - path.stat().st_mtime > _LIVE_S:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class ShadowRecord:
    """What challengers did with copied requests.

    Attributes:
        champion: SHA-256 of the champion's bundle.
        challenger: SHA-256 of the challenger's bundle.
        agreed: requests that both answered alike.
        disagreed: requests that they did not.
        failed: requests that the challenger failed on.
        skipped: requests that were left out because the challenger was too slow.
        compute_ms: mean time that the challenger computed.
    """

    champion: str
    challenger: str
    agreed: int
    disagreed: int
    failed: int
    skipped: int
    compute_ms: float

    def __str__(self) -> str:
        answered = self.agreed + self.disagreed
        share = (
            f"agreed on {self.agreed / answered:.1%} of {answered} requests" if answered else "no requests"
        )
        return f"{share}, failed on {self.failed}, computes {self.compute_ms:.2f} ms"


def shadow_records(name: str) -> list[ShadowRecord]:
    """Return what the servers of this project counted about challengers of ``name`` since they started."""
    total = Metrics()
    for path in sorted((FOLDER / "counters").glob("*.json")):
        total.merge(json.loads(path.read_text()))
    return records(total, name)


def records(metrics: Metrics, name: str) -> list[ShadowRecord]:
    """Return what ``metrics`` holds about challengers of ``name``."""
    pairs: dict[tuple[str, str], dict[str, int]] = {}
    for (model, champion, challenger, outcome), count in metrics.shadow.values.items():
        if model == name:
            pairs.setdefault((champion, challenger), {})[outcome] = int(count)
    found = []
    for (champion, challenger), counts in sorted(pairs.items()):
        cells = metrics.shadow_computed.values.get((name, challenger), [0.0, 0.0])
        mean_ms = 1e3 * cells[-1] / max(1.0, sum(cells[:-1]))
        outcomes = {
            outcome: counts.get(outcome, 0) for outcome in ("agreed", "disagreed", "failed", "skipped")
        }
        found.append(ShadowRecord(champion, challenger, **outcomes, compute_ms=mean_ms))
    return found
