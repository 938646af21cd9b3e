"""What a challenger showed on requests of the running server: enough for it, enough against it, or neither yet.

Everything is judged by bounds that hold however often one looks (:mod:`components.metrics.sequential`): those who
decide look whenever they like, and stop at the first answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from components.metrics.sequential import ALPHA, at_least, shows_above, shows_below
from components.serving.telemetry.tried import TrialRecord

_WAYS = 3
"""Ways to fail: disagreement, failures, latency. Each has its part of the false alarms."""


@dataclass(frozen=True)
class Demand:
    """What is asked of a challenger; ``params.yaml`` says it.

    Attributes:
        requests: how many it has to answer at least.
        agreement: share of its answers that agree with the champion's, at least.
        failures: share of the requests that it fails on, at most.
        latency: its computing time in the champion's, at most, for at least half of the requests; None for any.
    """

    requests: int
    agreement: float
    failures: float
    latency: float | None


class Outcome(NamedTuple):
    """How a trial stands, and why in sentences."""

    verdict: Literal["proved", "failed", "pending"]
    reasons: tuple[str, ...]


def judge(record: TrialRecord, demand: Demand) -> Outcome:
    """Return how a trial stands by what was counted.

    Whatever holds is shown with 95 % certainty; a challenger that is as it should be fails in at most 5 % of all
    trials, however often and for however long one looks.
    """
    against = tuple(_against(record, demand))
    if against:
        return Outcome("failed", against)
    missing = tuple(_missing(record, demand))
    if missing:
        return Outcome("pending", missing)
    return Outcome("proved", tuple(_found(record, demand)))


def _against(record: TrialRecord, demand: Demand) -> Iterator[str]:
    """Yield what is shown against the challenger."""
    alpha = ALPHA / _WAYS
    if shows_above(record.disagreed, record.answered, 1 - demand.agreement, alpha):
        yield f"{_agreement(record)}: less than {demand.agreement:.1%}"
    if shows_above(record.failed, record.asked, demand.failures, alpha):
        yield f"{_failures(record)}: more than {demand.failures:.1%}"
    if demand.latency is not None:
        slower, compared = record.slower_than(demand.latency)
        if shows_above(slower, compared, 0.5, alpha):
            yield f"{_latency(record, demand.latency)}: more than half"


def _missing(record: TrialRecord, demand: Demand) -> Iterator[str]:
    """Yield what is not shown yet."""
    if not record.is_counted:
        yield "no server of this folder has counted a request: darkroom serve; copied ones need --shadow 0.1"
        return
    if record.asked < demand.requests:
        yield f"answered {record.asked} of the {demand.requests} requests that are asked for"
    if not shows_below(record.disagreed, record.answered, 1 - demand.agreement):
        low = 1 - _most_disagreement(record)
        yield f"{_agreement(record)}: at least {low:.1%} is shown, {demand.agreement:.1%} is asked for"
    if record.failed > demand.failures * record.asked:
        yield f"{_failures(record)}: more than {demand.failures:.1%}, which may be chance"
    if demand.latency is not None:
        slower, compared = record.slower_than(demand.latency)
        if not shows_below(slower, compared, 0.5):
            yield f"{_latency(record, demand.latency)}: less than half is not shown yet"
    if record.skipped > record.asked:
        yield f"{record.skipped} requests were left out, because the challenger did not keep up"


def _found(record: TrialRecord, demand: Demand) -> Iterator[str]:
    yield f"{_agreement(record)}: at least {1 - _most_disagreement(record):.1%}"
    yield f"{_failures(record)}: at most {demand.failures:.1%} is allowed"
    if demand.latency is not None:
        yield f"{_latency(record, demand.latency)}: less than half"


def _most_disagreement(record: TrialRecord) -> float:
    return 1 - at_least(record.agreed, record.answered)


def _agreement(record: TrialRecord) -> str:
    return f"agreed with the champion on {record.agreed} of {record.answered} requests"


def _failures(record: TrialRecord) -> str:
    return f"failed on {record.failed} of {record.asked} requests"


def _latency(record: TrialRecord, latency: float) -> str:
    slower, compared = record.slower_than(latency)
    return f"computed longer than {latency:g} times the champion's time on {slower} of {compared} requests"
