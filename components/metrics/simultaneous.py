"""Intervals that hold all together: of the slices of one test set, in 95 of 100 test sets none misses.

Twenty intervals of 95 % each miss somewhere in up to 64 of 100 test sets, and a gate that looks at all of them would
refuse as many equal models. Here each interval is as much wider as it takes: the level that they share follows from
how the estimates move together, by a multiplier bootstrap of the greatest of them (Chernozhukov, Chetverikov and Kato,
"Gaussian approximations and multiplier bootstrap for maxima of sums of high-dimensional random vectors", 2013). Slices
that share examples cost less than Bonferroni's or Holm's correction takes for them; slices that share none, as Sidak's.

The quantiles of a plain bootstrap are no use so far out, at a level of .003 and with few examples: where all of ten
examples turned to the worse, its interval is a point. These intervals are Student's.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

from components.metrics.bootstrap import LEVEL, Interval
from components.metrics.estimates import Estimates

DRAWS = 20_000
"""Draws of the greatest deviation: the level that intervals share then wanders by some hundredths of itself."""


def intervals(*families: Estimates) -> list[list[Interval | None]]:
    """Return the intervals of several families of estimates on the same examples, all of which hold together.

    Returns:
        Of each family S intervals; None where a slice has fewer than :data:`.estimates.FEWEST` examples or nothing to
        measure.
    """
    level = shared_level(np.concatenate([one.moves[:, one.are_measured] for one in families], axis=1))
    return [_at_level(one, level) for one in families]


def shared_level(moves: np.ndarray) -> float:
    """Return how often each interval of ``moves`` [M, S] may miss, so that none misses in ``LEVEL`` of test sets."""
    if moves.shape[1] <= 1:
        return 1 - LEVEL
    length = np.sqrt((moves**2).sum(axis=0))
    unit = moves / np.where(length > 0, length, 1)
    correlation = unit.T @ unit
    # What never moves still has an interval, which its made-up examples give it: it may miss by itself.
    np.fill_diagonal(correlation, 1)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    drawn = np.random.default_rng(0).standard_normal((DRAWS, len(root)))
    greatest = float(np.quantile(np.abs(drawn @ root.T).max(axis=1), LEVEL))
    return 2 * (1 - NormalDist().cdf(greatest))


def _at_level(family: Estimates, level: float) -> list[Interval | None]:
    reach = stdtrit(np.maximum(family.counts - 1, 1), 1 - level / 2) * family.errors
    low, high = (np.clip(family.centres + sign * reach, *family.ends) for sign in (-1, 1))
    # The made-up examples may draw both ends to one side of the value.
    found = zip(family.values, np.minimum(low, family.values), np.maximum(high, family.values), strict=True)
    return [
        Interval(*map(float, one)) if there else None
        for one, there in zip(found, family.are_measured, strict=True)
    ]
