"""The check of challenge sets: none is shown to be worse than the champion by more than its margin, or below its bound.

The rule is that of slices (``components/promotion/by_slice.py``), and the intervals of all sets hold together.
"""

from __future__ import annotations

import numpy as np

from components.bundles.bundle import Bundle
from components.datasets import challenge_sets
from components.metrics.paired import Comparable
from components.project.sections import GatePolicy
from components.promotion import by_slice, comparison
from components.promotion.checks import Check

_KEY = "challenge_sets"


def check(
    name: str, bundle: Bundle, champion: Bundle | None, seen: np.ndarray | None, policy: GatePolicy
) -> Check | None:
    """Return what was found of the challenge sets; None where there are none, and nothing is asked of any.

    Args:
        name: the model.
        bundle: the candidate.
        champion: None where there is none to compare with.
        seen: int64 [n], contents that one of the two was trained or chosen on: their images are left out.
        policy: of the gate.
    """
    judged = by_slice.is_judged(bundle)
    found = None if judged else challenge_sets.read(bundle.description["dataset"])
    if found is None:
        return by_slice.lacking(name, _KEY, policy.challenge_sets, judged)
    unseen = found.without(seen)
    if not unseen.sets.ids:
        return Check(_KEY, bad=("cannot be measured: all of their images were seen in training",))
    theirs: Comparable | None = None
    try:
        ours = comparison.score(bundle, unseen.data)[0]
        if champion is not None:
            theirs = comparison.score(champion, unseen.data)[0]
    except ValueError as error:
        return Check(_KEY, bad=(f"cannot be measured: {error}",))
    return by_slice.look(
        name, _KEY, unseen.sets, ours, theirs, policy.challenge_sets, policy.challenge_margin
    )
