"""What was counted about challengers, of copied requests (``shadow``) and of those that they answered (``canary``)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from components.serving.telemetry import shared
from components.serving.telemetry.counters import RATIOS, Metrics

Kind = Literal["shadow", "canary"]

OUTCOMES = ("agreed", "disagreed", "failed", "skipped")


@dataclass(frozen=True)
class TrialRecord:
    """What a challenger did with requests.

    Attributes:
        champion: SHA-256 of the champion's bundle.
        challenger: SHA-256 of the challenger's bundle.
        agreed: requests that both answered alike.
        disagreed: requests that they did not.
        failed: requests that the challenger failed on.
        skipped: requests that only one of the two answered, because the other was too slow.
        compute_ms: mean time that the challenger computed copied requests.
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
        """Requests that both answered."""
        return self.agreed + self.disagreed

    @property
    def asked(self) -> int:
        """Requests that both answered or the challenger failed on."""
        return self.answered + self.failed

    @property
    def is_counted(self) -> bool:
        """Whether there was any request."""
        return self.asked + self.skipped > 0

    def slower_than(self, ratio: float) -> tuple[int, int]:
        """Return on how many requests it took more than ``ratio`` of the champion's time, and of how many it is known.

        A ratio between two buckets counts as the lower one.
        """
        within = bisect_right(RATIOS, ratio)
        return sum(self.ratios[within:]), sum(self.ratios)

    def __str__(self) -> str:
        share = f"agreed on {self.agreed / self.answered:.1%} of {self.answered}" if self.answered else "no"
        computes = f", computes {self.compute_ms:.2f} ms" if self.compute_ms else ""
        return f"{share} requests, failed on {self.failed}{computes}"


def record(metrics: Metrics, name: str, champion: str, challenger: str, kind: Kind = "shadow") -> TrialRecord:
    """Return what ``metrics`` holds about a pair of bundles of ``name``; zeros where there is nothing."""
    pair = champion, challenger
    counter, ratio = (
        (metrics.shadow, metrics.shadow_ratio) if kind == "shadow" else (metrics.canary, metrics.canary_ratio)
    )
    counts = [int(counter.values.get((name, *pair, outcome), 0)) for outcome in OUTCOMES]
    cells = metrics.shadow_computed.values.get((name, challenger), [0.0, 0.0])
    mean_ms = 1e3 * cells[-1] / max(1.0, sum(cells[:-1]))
    ratios = ratio.values.get((name, *pair), [0.0])[:-1]
    return TrialRecord(*pair, *counts, compute_ms=mean_ms, ratios=tuple(map(int, ratios)))


def counted(name: str, champion: str, challenger: str, kind: Kind = "shadow") -> TrialRecord:
    """Return what the servers of this project counted about a pair of bundles since they started."""
    return record(shared.everything(), name, champion, challenger, kind)


def shadow_records(name: str) -> list[TrialRecord]:
    """Return what the servers of this project counted about copied requests of ``name`` since they started."""
    total = shared.everything()
    pairs = {labels[1:3] for labels in total.shadow.values if labels[0] == name}
    return [record(total, name, *pair) for pair in sorted(pairs)]
