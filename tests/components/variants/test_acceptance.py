"""A variant is accepted where it is shown to be no worse, over all and in every part; a part is not given away."""

from __future__ import annotations

import numpy as np
import pytest

from components.datasets.slices import Slices
from components.metrics.paired import Scores
from components.variants import acceptance

COUNT = 1000
LABELS = np.arange(COUNT) % 4
CLASSES = ("a", "b", "c", "d")


def refused(wrong: np.ndarray, members: np.ndarray | None = None) -> list[str]:
    """Return of which parts a variant is refused that answers ``wrong`` where FP32 is right."""
    right = np.ones(COUNT)
    right[wrong] = 0
    ours, theirs = (Scores("accuracy", "higher", values, LABELS) for values in (right, np.ones(COUNT)))
    slices = None
    if members is not None:
        slices = Slices([str(n) for n in range(COUNT)], {"dark": "brightness below 9"}, members[:, None])
    return [one.of for one in acceptance.compare([ours], [theirs], CLASSES, slices) if not one.holds]


@pytest.mark.parametrize(("wrong", "parts"), [(0, []), (3, []), (30, ["all"])])
def test_over_all_examples_it_has_to_be_shown(wrong, parts):
    assert refused(np.arange(wrong)) == parts


def test_a_class_that_is_lost_is_named():
    assert "class c" in refused(np.flatnonzero(LABELS == 2)[:60])


def test_a_slice_that_is_lost_is_named_and_only_where_it_is_one():
    members = np.arange(COUNT) < 30
    wrong = np.arange(12)
    assert refused(wrong, members) == ["all", "slice dark"]
    assert "slice dark" not in refused(wrong, np.arange(COUNT) >= 500)


def test_the_reason_says_what_was_found():
    ours, theirs = (Scores("accuracy", "higher", np.full(COUNT, one)) for one in (0.0, 1.0))
    (found,) = acceptance.compare([ours], [theirs], CLASSES, None)
    assert str(found) == "accuracy of all: -1.0000 [-1.0000, -1.0000], n = 1000; must lie wholly above -0.01"
