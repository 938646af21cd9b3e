"""Slices in the order of how bad they surely are, and their worst images."""

from __future__ import annotations

import numpy as np
import pytest

from components.datasets.slices import Slices
from components.evaluation import by_slice
from components.metrics.paired import Scores, SetScores

IDS = [str(number) for number in range(120)]
SLICES = Slices(
    IDS,
    {"few": "", "right": "", "unlucky": "", "bad": ""},
    np.stack(
        [
            np.arange(120) < 3,
            np.arange(120) >= 60,
            np.arange(120) < 12,
            np.arange(120) < 60,
        ],
        axis=1,
    ),
)


@pytest.mark.parametrize(
    ("better", "value"), [("higher", lambda right: right), ("lower", lambda right: 1 - right)]
)
def test_the_surely_worst_comes_first_and_what_shows_nothing_last(better, value):
    right = (np.arange(120) >= 30).astype(float)
    right[:12] = np.arange(12) >= 7  # 5 of 12, and 35 of 60 in all: less is shown of the few
    found = by_slice.measure(Scores("m", better, value(right)), SLICES)
    assert [row["slice"] for row in found["rows"]] == ["bad", "unlucky", "right", "few"]
    assert (found["metric"], found["better"], found["rows"][-1]["value"]) == ("m", better, value(0.0))


def test_the_worst_images_are_found_by_example_and_by_set():
    values = np.arange(120.0)[::-1].copy()
    members = np.array([5, 9, 70, 119])
    chosen, scores = by_slice._worst_images(Scores("m", "higher", values), members)
    assert chosen.tolist() == [119, 70, 9, 5] and scores.tolist() == [0, 49, 110, 114]
    assert by_slice._worst_images(Scores("m", "lower", values), members)[0].tolist() == [5, 9, 70, 119]
    values[70] = np.nan  # an image without an object

    def mean(counts: np.ndarray) -> np.ndarray:
        return (
            counts[:, [5, 9, 70, 119]] @ np.nan_to_num(values[members], nan=0)
            + np.where(counts[:, 70] > 0, np.nan, 0)
        )[:, None]

    chosen, scores = by_slice._worst_images(SetScores("m", mean, np.ones((120, 1), bool)), members)
    assert chosen.tolist() == [119, 9, 5, 70] and np.isnan(scores[-1])
