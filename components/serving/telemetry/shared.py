"""How the workers of a server count as one, and how others see what was counted: each writes its counters to a file.

Whichever worker is asked adds what the others wrote last, a second ago at most. ``darkroom status`` and the
gate read what was counted about challengers, the follower what a worker refused.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.serving.rollout.state import FOLDER, RejectedVersion
from components.serving.telemetry.counters import RATIOS, Metrics

EVERY_S = 1.0
_LIVE_S = 10.0
_REFUSED = "refused"


class SharedCounters:
    """The counters of one worker among those of its server."""

    def __init__(self, port: int, number: int, metrics: Metrics) -> None:
        self._folder, self._port, self._metrics = FOLDER / "counters", port, metrics
        self._own = self._folder / f"{port}-{number}.json"

    def write(self, values: dict[str, Any], refused: Mapping[str, RejectedVersion]) -> None:
        """Write this worker's counters, and what it refuses. They may be lost in a power cut, like those in memory."""
        values = values | {_REFUSED: {name: asdict(refusal) for name, refusal in refused.items()}}
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._own.with_suffix(".tmp")
        temporary.write_text(json.dumps(values))
        temporary.replace(self._own)

    def total(self) -> Metrics:
        """Return this worker's counters together with those of the others."""
        total = Metrics()
        total.merge(self._metrics.to_json())
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
        ratios: of the requests that both computed in batches of one size, how many took the challenger how much of
            the champion's time, by the buckets of :data:`~components.serving.telemetry.counters.RATIOS` and above.
    """

    champion: str
    challenger: str
    agreed: int
    disagreed: int
    failed: int
    skipped: int
    compute_ms: float
    ratios: tuple[int, ...] = ()

    @property
    def answered(self) -> int:
        """Requests that the challenger answered."""
        return self.agreed + self.disagreed

    @property
    def asked(self) -> int:
        """Requests that it answered or failed on."""
        return self.answered + self.failed

    def slower_than(self, ratio: float) -> tuple[int, int]:
        """Return on how many requests it took more than ``ratio`` of the champion's time, and of how many it is known.

        A ratio between two buckets counts as the lower one.
        """
        within = bisect_right(RATIOS, ratio)
        return sum(self.ratios[within:]), sum(self.ratios)

    def __str__(self) -> str:
        share = (
            f"agreed on {self.agreed / self.answered:.1%} of {self.answered} requests"
            if self.answered
            else "no requests"
        )
        return f"{share}, failed on {self.failed}, computes {self.compute_ms:.2f} ms"


def shadow_record(name: str, champion: str, challenger: str) -> ShadowRecord:
    """Return what the servers of this project counted about a pair of bundles of ``name`` since they started."""
    pair = champion, challenger
    found = (record for record in shadow_records(name) if (record.champion, record.challenger) == pair)
    return next(found, ShadowRecord(*pair, 0, 0, 0, 0, 0.0))


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
        ratios = metrics.shadow_ratio.values.get((name, champion, challenger), [0.0])[:-1]
        found.append(
            ShadowRecord(champion, challenger, **outcomes, compute_ms=mean_ms, ratios=tuple(map(int, ratios)))
        )
    return found
