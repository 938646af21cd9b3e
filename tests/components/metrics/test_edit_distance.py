"""Edits against the definition, by brute force, and what must hold for all texts."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from components.metrics.edit_distance import distances, substitutions

TEXTS = st.lists(st.integers(0, 2), max_size=6)


@cache
def by_definition(a: tuple, b: tuple) -> int:
    if not a or not b:
        return len(a) + len(b)
    changed = by_definition(a[1:], b[1:]) + (a[0] != b[0])
    return min(changed, by_definition(a[1:], b) + 1, by_definition(a, b[1:]) + 1)


@given(TEXTS, TEXTS)
def test_distance_is_the_fewest_edits(a, b):
    assert distances([a], [b]).tolist() == [by_definition(tuple(a), tuple(b))]


@given(TEXTS, TEXTS)
def test_substitutions_lie_on_a_shortest_chain(a, b):
    pairs = substitutions(a, b)
    changed = sum(right != written for right, written in pairs)
    assert changed + len(a) + len(b) - 2 * len(pairs) == by_definition(tuple(a), tuple(b))
    rights, writtens = [right for right, _ in pairs], [written for _, written in pairs]
    for part, whole in ((rights, b), (writtens, a)):
        rest = iter(whole)
        assert all(symbol in rest for symbol in part)  # in order


def test_what_is_written_for_what():
    assert substitutions([3, 7, 5], [3, 1, 5]) == [(3, 3), (1, 7), (5, 5)]
    assert substitutions([3, 5], [3, 1, 5]) == [(3, 3), (5, 5)]
    assert substitutions([], [1]) == []
