"""What is enough for a challenger, enough against it, and neither yet."""

from __future__ import annotations

import re

import pytest

from components.serving.rollout.trial import Demand, judge
from components.serving.telemetry.counters import RATIOS
from components.serving.telemetry.tried import TrialRecord

DEMAND = Demand(requests=300, agreement=0.98, failures=0.01, latency=1.2)


def record(
    agreed: int = 400,
    disagreed: int = 0,
    failed: int = 0,
    skipped: int = 0,
    slow: int = 0,
    compared: int = 400,
) -> TrialRecord:
    """Counts; of ``compared`` requests, ``slow`` took 1.4 times the champion's time and all others as long."""
    ratios = [0] * (len(RATIOS) + 1)
    ratios[RATIOS.index(1.0)], ratios[RATIOS.index(1.5)] = compared - slow, slow
    return TrialRecord("c" * 64, "d" * 64, agreed, disagreed, failed, skipped, 1.0, tuple(ratios))


@pytest.mark.parametrize(
    ("counted", "verdict", "told"),
    [
        (record(), "proved", "agreed with the champion on 400 of 400 requests: at least 99."),
        (record(agreed=200), "pending", "answered 200 of the 300 requests"),
        (record(agreed=395, disagreed=5), "pending", "at least 96.* is shown, 98.0% is asked for"),
        (record(agreed=360, disagreed=40), "failed", "360 of 400 requests: less than 98.0%"),
        (record(agreed=40, disagreed=10), "failed", "40 of 50 requests: less than 98.0%"),  # at once
        (record(failed=5), "pending", "failed on 5 of 405 requests: more than 1.0%, which may be chance"),
        (record(failed=40), "failed", "failed on 40 of 440 requests: more than 1.0%"),
        (record(slow=150), "proved", "longer than 1.2 times the champion's time on 150 of 400 requests"),
        (record(slow=200), "pending", "less than half is not shown yet"),
        (record(slow=300), "failed", "on 300 of 400 requests: more than half"),
        (record(compared=0), "pending", "on 0 of 0 requests: less than half is not shown"),
        (record(skipped=500), "pending", "did not keep up"),
        (TrialRecord("c", "d", 0, 0, 0, 0, 0.0), "pending", "no server of this folder"),
    ],
)
def test_what_decides(counted, verdict, told):
    found = judge(counted, DEMAND)
    assert found.verdict == verdict
    assert any(re.search(told, reason) for reason in found.reasons), found.reasons


def test_a_failure_where_none_is_allowed_ends_a_trial():
    strict = Demand(requests=300, agreement=0.98, failures=0.0, latency=None)
    assert judge(record(failed=1), strict).verdict == "failed"
    assert judge(record(slow=400), strict).verdict == "proved"


def test_a_ratio_between_two_buckets_counts_as_the_lower_one():
    counted = record(slow=10, compared=30)
    assert counted.slower_than(1.2) == counted.slower_than(1.29) == counted.slower_than(1.3) == (10, 30)
    assert counted.slower_than(1.5) == (0, 30) and counted.slower_than(0.9) == (30, 30)
