"""The check of slices: none is shown to be worse than the champion by more than its margin, or to miss its bound.

A slice fails only where its whole interval lies on the wrong side, as a class does. All intervals of the check hold
together (``components/metrics/simultaneous.py``): with many slices an equal model is refused no more often than with
one. What demands proof of every slice would need no correction, and would refuse every retraining of a small data set.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from components import tasks
from components.bundles.bundle import Bundle
from components.datasets import slices
from components.datasets.slices import Slices
from components.metrics import simultaneous
from components.metrics.bootstrap import Interval
from components.metrics.paired import Comparable
from components.project.sections import FILE, GatePolicy, SlicePolicy
from components.promotion import comparison
from components.promotion.checks import Check
from components.promotion.comparison import Scored
from data.errors import nearest
from data.prepared import PreparedData


@dataclass(frozen=True)
class SliceFinding:
    """What was found of a slice.

    Attributes:
        slice: its name.
        rule: what it holds, in words.
        count: test examples.
        metric: the primary one.
        candidate: of the candidate; None where nothing can be measured.
        difference: from the champion, turned so that more is better; None without one, or where nothing can be shown.
        bounded: the candidate's interval, where ``policy`` has a bound.
        policy: what is asked of it beside the margin, if anything.
        margin: by how much the difference may be negative.
    """

    slice: str
    rule: str
    count: int
    metric: str
    candidate: float | None
    difference: Interval | None
    bounded: Interval | None
    policy: SlicePolicy | None
    margin: float

    @property
    def bad(self) -> list[str]:
        """What speaks against the candidate."""
        told = []
        if self.bounded is not None and (limit := self._missed(self.bounded)):
            told.append(f"{self._interval(self.bounded, '')}; must reach {limit}")
        if self.difference is not None and self.difference.high < -self.margin:
            told.append(
                f"worse than the champion: {self._interval(self.difference, '+')}; must reach {-self.margin:g}"
            )
        return [f"{self.metric} on slice {self.slice!r} ({self.rule}): {one}" for one in told]

    def _missed(self, found: Interval) -> str:
        if self.policy.at_least is not None and found.high < self.policy.at_least:
            return f"at least {self.policy.at_least:g}"
        if self.policy.at_most is not None and found.low > self.policy.at_most:
            return f"at most {self.policy.at_most:g}"
        return ""

    def _interval(self, interval: Interval, sign: str) -> str:
        value, low, high = (f"{end:{sign}.4f}" for end in (interval.value, interval.low, interval.high))
        return f"{value}, interval that holds beside those of all slices [{low}, {high}], n = {self.count}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(replace(self, policy=None)) | {
            "policy": self.policy.model_dump() if self.policy else None,
            "holds": not self.bad,
        }


def check(
    name: str, bundle: Bundle, scored: Scored | None, present: PreparedData, policy: GatePolicy
) -> Check | None:
    """Return what was found of the slices of the test split; None where there are none, and nothing is asked of any.

    Args:
        name: the model.
        bundle: the candidate.
        scored: what it and the champion score; None where there is none to compare with.
        present: the data.
        policy: of the gate.
    """
    task = tasks.of(bundle.description["task"], [tensor["name"] for tensor in bundle.description["inputs"]])
    ids = scored.ids if scored else present.test.ids
    sliced = None if task.COMPARED_BY_JUDGE else slices.read(present.spec.name, ids)
    where = f"{FILE}: gate.{name}.slices"
    if sliced is None:
        lacking = (
            "has no slices" if not task.COMPARED_BY_JUDGE else "is measured on samples, which are in no slice"
        )
        told = [f"{where}.{asked}: the model {lacking}" for asked in policy.slices]
        return Check("slices", bad=tuple(told)) if told else None
    known = {*sliced.names, *(of_slice.partition("=")[0] for of_slice in sliced.names)}
    bad = [
        f"{where}.{asked}: no such slice.{nearest(asked, known)}"
        for asked in policy.slices
        if asked not in known
    ]
    try:
        ours = scored.candidate[0] if scored else comparison.score(bundle, present)[0]
    except ValueError as error:
        return Check("slices", bad=(f"cannot be measured: {error}",))
    found, are_measured = _find(ours, scored.champion[0] if scored else None, sliced, policy)
    bad += [told for finding in found for told in finding.bad]
    few = [finding for finding, is_measured in zip(found, are_measured, strict=True) if not is_measured]
    bad += [
        f"{where}: of slice {finding.slice!r} nothing can be shown: it has {finding.count} test examples"
        for finding in few
        if finding.policy is not None
    ]
    good = [f"none of {len(found) - len(few)} slices is shown to be worse than it may be"]
    if few:
        named = ", ".join(f"{finding.slice} ({finding.count})" for finding in few)
        good.append(f"slices of which too few test examples can show anything: {named}")
    evidence = {
        "metric": ours.metric,
        "better": ours.better,
        "slices": [finding.to_json() for finding in found],
    }
    return Check("slices", () if bad else tuple(good), tuple(bad), evidence)


def _find(
    ours: Comparable, theirs: Comparable | None, sliced: Slices, policy: GatePolicy
) -> tuple[list[SliceFinding], np.ndarray]:
    """Return the findings, and bool [S] of which slices anything can be shown."""
    asked = [policy.of_slice(name) for name in sliced.names]
    has_bound = np.array([one is not None and (one.at_least, one.at_most) != (None, None) for one in asked])
    scores = ours.by_slice(sliced.members)
    families = [scores.only(has_bound)]
    if theirs is not None:
        families.append(ours.differences_by_slice(theirs, sliced.members))
    of_bounded, *of_all = simultaneous.intervals(*families)
    bounded = dict(zip(np.flatnonzero(has_bound).tolist(), of_bounded, strict=True))
    differences = of_all[0] if of_all else [None] * len(asked)
    are_measured = families[-1].are_measured if of_all else scores.are_measured
    return [
        SliceFinding(
            slice=name,
            rule=sliced.rules[name],
            count=int(scores.counts[place]),
            metric=ours.metric,
            candidate=None if np.isnan(scores.values[place]) else float(scores.values[place]),
            difference=differences[place],
            bounded=bounded.get(place),
            policy=asked[place],
            margin=_margin(policy, asked[place]),
        )
        for place, name in enumerate(sliced.names)
    ], are_measured


def _margin(policy: GatePolicy, asked: SlicePolicy | None) -> float:
    return policy.slice_margin if asked is None or asked.margin is None else asked.margin
