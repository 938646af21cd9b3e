"""Both versions asked the same test examples now: how much better B is than A, with the gate's own arithmetic.

B stands where the gate has the candidate and A where it has the champion, so the numbers are those of its decision.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from components.comparison.side import Side
from components.project import layout
from components.project.sections import GatePolicy
from components.promotion import by_challenge_set, by_slice, comparison
from components.promotion.checks import Check
from components.registry import seen
from data.errors import UserError
from data.prepared import PreparedData


@dataclass(frozen=True)
class SameExamples:
    """What both say to the same examples.

    Attributes:
        why_not: why they cannot be asked the same; empty where they were.
        data: data set, hash and size of what they were asked; ``left_out`` counts images that one was trained on.
        differences: how much better B is, over all examples first, then by class.
        slices: likewise of each slice, by its name; None where nothing can be shown.
        challenge_sets: likewise of each challenge set.
    """

    why_not: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)
    slices: dict[str, dict[str, float] | None] = field(default_factory=dict)
    challenge_sets: dict[str, dict[str, float] | None] = field(default_factory=dict)


def ask(a: Side, b: Side, policy: GatePolicy) -> SameExamples:
    """Ask both the test split of B's data set as it is prepared now, its slices and its challenge sets.

    Args:
        a: the one that B is held against.
        b: the one whose data set and policy count.
        policy: the gate's for B: bounds of slices are part of intervals that hold together.

    Raises:
        UserError: the registry does not answer.
    """
    if differing := comparison.differing(b.bundle, a.bundle):
        return SameExamples(f"they have other {', '.join(differing)}")
    dataset = b.bundle.description["dataset"]
    try:
        present = PreparedData(layout.prepared(dataset))
    except UserError as error:
        return SameExamples(str(error))
    contents = seen.of_any(b.version, a.version)
    shown = comparison.unseen(b.bundle, present, contents)
    if not len(shown.test):
        return SameExamples(f"all {len(present.test):,} test images were seen in training")
    try:
        scored = comparison.score_both(b.bundle, a.bundle, shown)
        differences = comparison.compare(scored, shown.spec.classes, policy)
    except ValueError as error:
        return SameExamples(f"cannot be measured: {error}")
    return SameExamples(
        data={
            "name": dataset,
            "sha256": present.spec.sha256,
            "examples": differences[0].count,
            "left_out": len(present.test) - len(shown.test),
        },
        differences=[
            {"metric": found.metric, "of": found.of, "a": found.champion, "b": found.candidate}
            | {"difference": found.value, "low": found.low, "high": found.high, "examples": found.count}
            for found in differences
        ],
        slices=_by_part(by_slice.check(b.version.name, b.bundle, scored, present, policy)),
        challenge_sets=_by_part(by_challenge_set.check(b.version.name, b.bundle, a.bundle, contents, policy)),
    )


def _by_part(found: Check | None) -> dict[str, dict[str, float] | None]:
    rows = found.evidence.get("slices", ()) if found else ()
    return {row["slice"]: row["difference"] for row in rows}
