"""Intervals of slices that hold all together: their level against closed forms, and what they promise."""

from __future__ import annotations

from dataclasses import asdict
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from components.metrics import simultaneous
from components.metrics.estimates import FEWEST, of_changes, of_means, of_sets, of_shares

EQUAL = 0.95 ** (1 / 8)


def disjoint(slices: int, size: int) -> np.ndarray:
    """Return which of ``slices * size`` examples each slice holds."""
    return np.repeat(np.eye(slices, dtype=bool), size, axis=0)


def test_one_slice_alone_has_student_s_interval():
    values = np.random.default_rng(0).normal(size=25)
    (((interval,),)) = simultaneous.intervals(of_means(values, np.ones((25, 1), bool)))
    expected = stats.t.interval(0.95, 24, values.mean(), stats.sem(values))
    assert (interval.value, interval.low, interval.high) == pytest.approx((values.mean(), *expected))


def test_slices_without_a_common_example_share_sidak_s_level():
    values = np.random.default_rng(0).normal(size=8 * 400)
    level = simultaneous.shared_level(of_means(values, disjoint(8, 400)).moves)
    assert level == pytest.approx(1 - EQUAL, rel=0.1)
    assert level == simultaneous.shared_level(of_means(values, disjoint(8, 400)).moves)


def test_slices_of_the_same_examples_cost_nothing():
    values = np.random.default_rng(0).normal(size=100)
    same = np.tile(np.random.default_rng(1).random((100, 1)) < 0.5, 12)
    assert simultaneous.shared_level(of_means(values, same).moves) == pytest.approx(0.05, rel=0.05)


def test_several_families_share_one_level():
    values, members = np.random.default_rng(0).normal(size=(2, 400)), disjoint(4, 100)
    alone = simultaneous.intervals(of_means(values[0], members))[0]
    both = simultaneous.intervals(*(of_means(one, members) for one in values))
    assert [len(family) for family in both] == [4, 4]
    assert all(b.low < a.low and a.high < b.high for a, b in zip(alone, both[0], strict=True))


@pytest.mark.parametrize(("right", "ends"), [(np.ones(60), (0.8, 1.0)), (np.zeros(60), (0.0, 0.2))])
def test_an_interval_of_unanimous_answers_is_no_point(right, ends):
    (intervals,) = simultaneous.intervals(of_shares(right, disjoint(2, 30)))
    for interval in intervals:
        assert ends[0] <= interval.low <= interval.value <= interval.high <= ends[1]
        assert interval.high - interval.low > 0.1


def test_few_losses_are_no_harm_and_many_are():
    members = np.ones((40, 1), bool)
    highs = []
    for losses in (0, 3, 12):
        changes = -(np.arange(40) < losses).astype(float)
        (((interval,),)) = simultaneous.intervals(of_changes(changes, members))
        assert interval.value == -losses / 40
        highs.append(interval.high)
    assert highs[0] > 0 and highs[1] > 0 > highs[2]


def test_a_slice_of_few_examples_has_no_interval_and_costs_nothing():
    values = np.random.default_rng(0).normal(size=120)
    small = np.zeros((120, 1), bool)
    small[: FEWEST - 1] = True
    members = np.concatenate([disjoint(2, 60), small, np.zeros((120, 1), bool)], axis=1)
    estimates = of_means(values, members)
    with_few, (alone,) = (
        simultaneous.intervals(estimates)[0],
        simultaneous.intervals(of_means(values, members[:, :2])),
    )
    assert with_few[2:] == [None, None]
    assert [asdict(one) for one in with_few[:2]] == [pytest.approx(asdict(one)) for one in alone]
    assert estimates.values[2] == pytest.approx(values[: FEWEST - 1].mean())


def test_drawn_sets_tell_what_means_tell():
    values = np.random.default_rng(0).normal(size=90)
    members = np.random.default_rng(1).random((90, 3)) < 0.6

    def mean(counts: np.ndarray) -> np.ndarray:
        return (counts @ values / counts.sum(axis=1))[:, None]

    drawn, exact = of_sets(mean, members), of_means(values, members)
    assert drawn.values == pytest.approx(exact.values)
    assert drawn.errors == pytest.approx(exact.errors, rel=0.1)


def test_a_drawn_set_without_anything_of_a_slice_is_left_out():
    rare = np.zeros(30, bool)
    rare[:2] = True

    def share(counts: np.ndarray) -> np.ndarray:
        there = counts @ rare
        return np.where(there > 0, 0.5 + 0 * there, np.nan)[:, None]

    estimates = of_sets(share, np.stack([np.ones(30, bool), ~rare], axis=1))
    assert estimates.values[0] == 0.5 and np.isnan(estimates.values[1])
    assert simultaneous.intervals(estimates)[0][1] is None


def test_of_many_slices_none_misses_in_95_of_100_sets(monkeypatch):
    """Small and seeded; ``benchmarks/gate_slices.py`` does it at length."""
    monkeypatch.setattr(simultaneous, "DRAWS", 2000)
    random, members, trials = np.random.default_rng(0), disjoint(12, 60), 150
    single, missed, alone = NormalDist().inv_cdf(0.975), 0, 0
    for _ in range(trials):
        changes = random.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=len(members))
        estimates = of_changes(changes, members)
        (found,) = simultaneous.intervals(estimates)
        missed += any(not interval.low <= 0 <= interval.high for interval in found)
        alone += bool((np.abs(estimates.centres) > single * estimates.errors).any())
    assert missed / trials <= 0.08 and alone / trials > 0.2
