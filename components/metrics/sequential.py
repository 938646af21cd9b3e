"""What is shown of a share of bad requests, however often one looks: after every request, and stopping when one likes.

A test at 5 % that is repeated with every request alarms sooner or later at nearly every version. Here the evidence that
more than a share p is bad is how much likelier the counts are under larger shares, averaged over many of them, than
under p. As long as no more than p is bad, it is a supermartingale that begins at 1, so it reaches 1 / a in at most a of
all runs, whatever the looks (Ville, "Etude critique de la notion de collectif", 1939; averaged likelihood ratios:
Robbins, "Statistical methods related to the law of the iterated logarithm", 1970; as bounds that hold at all times:
Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", 2021).

It rests on the counts alone: several workers add theirs, in any order. The price is that more requests are needed than
for a single look; ``docs/results/gate.md`` has how many.
"""

from __future__ import annotations

import math

ALPHA = 0.05
"""How often, at most, something is shown that is not so."""

_RATIOS = tuple(1.2 * 1.5**step for step in range(24))
"""Odds of the larger shares, in odds of p: from hardly more to nearly all."""


def shows_above(bad: int, count: int, share: float, alpha: float = ALPHA) -> bool:
    """Say whether ``bad`` of ``count`` requests show that more than ``share`` in [0, 1] is bad."""
    return evidence_above(bad, count, share) >= -math.log(alpha)


def shows_below(bad: int, count: int, share: float, alpha: float = ALPHA) -> bool:
    """Say whether ``bad`` of ``count`` requests show that less than ``share`` in [0, 1] is bad."""
    return shows_above(count - bad, count, 1 - share, alpha)


def evidence_above(bad: int, count: int, share: float) -> float:
    """Return the natural logarithm of the evidence that more than ``share`` is bad: 0 for none, infinite for proof."""
    if share <= 0:
        return math.inf if bad else 0.0
    if share >= 1:
        return 0.0
    terms = []
    for ratio in _RATIOS:
        # Of odds r p / (1 - p) the share is r p / (1 - p + r p).
        scale = math.log1p(share * (ratio - 1))
        terms.append(bad * math.log(ratio) - count * scale)
    greatest = max(terms)
    return greatest + math.log(sum(math.exp(term - greatest) for term in terms) / len(terms))


def at_least(bad: int, count: int, alpha: float = ALPHA) -> float:
    """Return the largest share that is shown to be exceeded by what is bad: its lower bound in [0, 1], at any time."""
    low, high = 0.0, bad / count if count else 0.0
    if not shows_above(bad, count, low, alpha):
        return 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if shows_above(bad, count, middle, alpha) else (low, middle)
    return low
