"""Bounds that hold however often one looks: false alarms by simulation with a look at every request, and power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.metrics import sequential
from components.metrics.sequential import ALPHA, at_least, evidence_above, shows_above, shows_below

RUNS, LENGTH = 500, 1500


def evidence_at_every_look(bad: np.ndarray, share: float) -> np.ndarray:
    """Return the evidence float64 [R, N] after each of N requests, of which ``bad`` [R, N] are bad."""
    ratios = np.array(sequential._RATIOS)
    counts, looks = np.cumsum(bad, axis=1), np.arange(1, bad.shape[1] + 1)
    found = np.full(counts.shape, -np.inf)
    for ratio in ratios:
        term = counts * math.log(ratio) - looks * math.log1p(share * (ratio - 1))
        found = np.logaddexp(found, term)
    return found - math.log(len(ratios))


def test_the_simulated_evidence_is_the_one_that_decides():
    bad = np.random.default_rng(0).random((1, 50)) < 0.2
    ours = [evidence_above(int(bad[0, :n].sum()), n, 0.1) for n in range(1, 51)]
    np.testing.assert_allclose(evidence_at_every_look(bad, 0.1)[0], ours)


@pytest.mark.parametrize("share", [0.001, 0.02, 0.5])
def test_false_alarms_with_a_look_at_every_request(share):
    drawn = np.random.default_rng(1).random((RUNS, LENGTH))
    alarms = (evidence_at_every_look(drawn < share, share) >= -math.log(ALPHA)).any(axis=1).mean()
    assert alarms <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
    # A test for one look, which is at that level there, alarms many times as often when it is repeated.
    counts, looks = np.cumsum(drawn < share, axis=1), np.arange(1, LENGTH + 1)
    repeated = counts > looks * share + 1.645 * np.sqrt(looks * share * (1 - share))
    assert repeated[:, 20:].any(axis=1).mean() > 4 * ALPHA


@pytest.mark.parametrize(("share", "actual", "within"), [(0.02, 0.1, 150), (0.01, 0.5, 12), (0.5, 0.8, 100)])
def test_what_is_worse_is_found(share, actual, within):
    drawn = np.random.default_rng(2).random((RUNS, within)) < actual
    found = (evidence_at_every_look(drawn, share) >= -math.log(ALPHA)).any(axis=1).mean()
    assert found > 0.9


def test_none_allowed_is_none():
    assert shows_above(1, 10_000, 0.0) and not shows_above(0, 10_000, 0.0)
    assert not shows_above(10, 10, 1.0) and shows_below(9, 10, 1.0)


def test_what_it_takes_to_show_an_agreement():
    assert not shows_below(0, 100, 0.02) and shows_below(0, 250, 0.02)
    assert at_least(0, 0) == 0.0 and at_least(100, 100) == pytest.approx(0.9685, abs=1e-3)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.integers(0, 400), st.floats(0.0, 1.0))
def test_the_bound_is_where_the_evidence_ends(bad, good, share):
    count = bad + good
    low = at_least(bad, count)
    assert 0 <= low <= (bad / count if count else 0)
    if share < low - 1e-6:
        assert shows_above(bad, count, share)
    elif share > low + 1e-6:
        assert not shows_above(bad, count, share)
    assert not (shows_above(bad, count, share) and shows_below(bad, count, share))
