"""Bootstrap intervals against SciPy's, against what they promise, and in the corners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from components.metrics import bootstrap

finite = st.floats(-100, 100).map(lambda value: round(value, 3))


@pytest.mark.parametrize("draw", [np.random.Generator.exponential, np.random.Generator.normal])
def test_mean_agrees_with_scipy(draw):
    values = draw(np.random.default_rng(1), size=80)
    ours = bootstrap.mean(values, draws=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.value == pytest.approx(values.mean())
    assert abs(ours.low - theirs.low) < 0.04 * width and abs(ours.high - theirs.high) < 0.04 * width


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    random = np.random.default_rng(0)
    samples = random.exponential(size=(400, 60))
    held = [i.low <= 1 <= i.high for i in (bootstrap.mean(values, draws=400) for values in samples)]
    # 95 % less what so few examples of so skewed a kind cost, give or take the chance of 400 trials.
    assert 0.90 < np.mean(held) < 0.98


@given(arrays(np.float64, st.integers(1, 30), elements=finite), st.floats(0.5, 4), finite)
@settings(max_examples=40, deadline=None)
def test_mean_moves_with_its_values(values, scale, shift):
    one = bootstrap.mean(values, draws=200)
    moved = bootstrap.mean(scale * values + shift, draws=200)
    for end in ("value", "low", "high"):
        assert getattr(moved, end) == pytest.approx(scale * getattr(one, end) + shift, abs=1e-6)
    assert values.min() - 1e-9 <= one.low <= one.high <= values.max() + 1e-9


@given(arrays(np.float64, st.integers(1, 30), elements=finite))
@settings(max_examples=20, deadline=None)
def test_the_same_values_give_the_same_interval_and_no_difference(values):
    assert bootstrap.mean(values, draws=100) == bootstrap.mean(values.copy(), draws=100)
    assert bootstrap.paired(values, values, draws=100) == bootstrap.Interval(0.0, 0.0, 0.0)


def test_proportion_of_unanimous_answers_is_wilsons():
    for right in (np.ones(269), np.zeros(269)):
        expected = stats.binomtest(int(right.sum()), 269).proportion_ci(method="wilson")
        interval = bootstrap.proportion(right)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    mixed = np.arange(100) % 10 > 0
    assert bootstrap.proportion(mixed) == bootstrap.mean(mixed)


def test_paired_sees_what_two_intervals_do_not():
    random = np.random.default_rng(3)
    hard = random.random(2000) < 0.2  # examples that both get wrong
    ours = (~hard & (random.random(2000) < 0.999)).astype(float)
    theirs = (~hard & (random.random(2000) < 0.98)).astype(float)
    alone = bootstrap.mean(ours), bootstrap.mean(theirs)
    assert alone[0].low < alone[1].high
    assert bootstrap.paired(ours, theirs).low > 0
    assert bootstrap.paired(theirs, ours).high < 0


def test_resample_by_multiplicity_is_resample_of_single_examples():
    terms, multiplicity = np.array([[1.0, 0.0], [0.5, 2.0], [3.0, 1.0]]), np.array([4, 1, 7])
    statistic = lambda sums, size: sums[:, 0] / (1 + sums[:, 1]) + size  # noqa: E731
    together = bootstrap.resample(terms, statistic, multiplicity=multiplicity, draws=300)
    single = bootstrap.resample(np.repeat(terms, multiplicity, axis=0), statistic, draws=300)
    np.testing.assert_allclose(together, single)


def test_chunks_do_not_show(monkeypatch):
    values = np.random.default_rng(5).random(50)
    whole = bootstrap.mean(values, draws=100)
    monkeypatch.setattr(bootstrap, "_CHUNK", 120)
    assert bootstrap.mean(values, draws=100) == whole


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_what_has_no_mean_is_refused(values):
    with pytest.raises(ValueError, match="finite"):
        bootstrap.mean(np.array(values))


def test_unequal_examples_cannot_be_paired():
    with pytest.raises(ValueError, match="same examples"):
        bootstrap.paired(np.ones(3), np.ones(4))


def _means(values):
    return lambda counts: np.stack([counts @ values / counts.sum(axis=1), counts @ values**2], axis=1)


def test_of_sets_is_the_mean_where_it_is_one():
    values = np.random.default_rng(0).exponential(size=70)
    interval, _ = bootstrap.of_sets(_means(values), len(values))
    expected = bootstrap.mean(values)
    np.testing.assert_allclose(
        [interval.value, interval.low, interval.high], [expected.value, expected.low, expected.high]
    )


def test_of_sets_leaves_out_groups_where_there_are_many(monkeypatch):
    values = np.random.default_rng(0).exponential(size=1000)
    one_by_one = bootstrap.mean(values)
    measured = []

    def counted(counts):
        measured.append(len(counts))
        return _means(values)(counts)

    interval, _ = bootstrap.of_sets(counted, len(values))
    assert sum(measured) == 1 + bootstrap.GROUPS + bootstrap.DRAWS
    width = one_by_one.high - one_by_one.low
    assert abs(interval.low - one_by_one.low) < 0.05 * width
    assert abs(interval.high - one_by_one.high) < 0.05 * width


def test_of_sets_leaves_out_what_is_not_there():
    """Of a rare kind some sets have none; of a kind that nobody has there is no interval."""
    values, rare = np.arange(40.0), np.arange(40) < 2

    def mean_of_rare(counts):
        with np.errstate(invalid="ignore"):
            mean = (counts * rare) @ values / (counts @ rare)
        return np.stack([mean, np.full(len(counts), np.nan)], axis=1)

    interval, nothing = bootstrap.of_sets(mean_of_rare, 40)
    assert nothing is None
    assert 0 <= interval.low <= interval.value == 0.5 <= interval.high <= 1
