"""Differences of two models on the same examples: turned so that more is better, over all and by class."""

from __future__ import annotations

import numpy as np
import pytest

from components.metrics.paired import Scores, SetScores

CLASSES = ("bar", "dot", "ring")


@pytest.mark.parametrize(("better", "sign"), [("higher", 1), ("lower", -1)])
def test_a_difference_is_positive_where_ours_is_better(better, sign):
    labels = np.array([0, 0, 2, 2, 2])
    ours = Scores("m", better, np.array([1.0, 2, 3, 4, 5]), labels)
    theirs = Scores("m", better, np.array([0.5, 2, 3, 4, 3]), labels)
    rows = list(ours.differences(theirs, CLASSES))
    assert [(row.of, row.ours, row.theirs, row.count) for row in rows] == [
        (None, 3.0, 2.5, 5),
        ("bar", 1.5, 1.25, 2),
        ("ring", 4.0, pytest.approx(10 / 3), 3),
    ]
    assert [row.interval.value for row in rows] == pytest.approx([sign * 0.5, sign * 0.25, sign * 2 / 3])
    assert all(row.interval.low <= row.interval.value <= row.interval.high for row in rows)


def test_without_labels_there_is_one_difference():
    ours, theirs = (Scores("m", "higher", values) for values in (np.ones(4), np.zeros(4)))
    (row,) = ours.differences(theirs, CLASSES)
    assert (row.of, row.interval.value) == (None, 1)


def test_sets_leave_out_a_class_that_nothing_holds():
    holding = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 0]], bool)

    def scores(value):
        column = np.array([value, value, 2 * value, np.nan])
        return SetScores("m", lambda counts: np.tile(column, (len(counts), 1)), holding)

    rows = list(scores(0.4).differences(scores(0.3), CLASSES))
    assert [(row.of, row.count) for row in rows] == [(None, 4), ("bar", 2), ("dot", 2)]
    assert [row.interval.value for row in rows] == pytest.approx([0.1, 0.1, 0.2])
