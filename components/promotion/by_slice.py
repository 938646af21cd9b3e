"""The check of slices: none is shown to be worse than the champion by more than its margin, or to miss its bound.

A slice fails only where its whole interval lies on the wrong side, as a class does. All intervals of the check hold
together (``components/metrics/simultaneous.py``): with many slices an equal model is refused no more often than with
one. What demands proof of every slice would need no correction, and would refuse every retraining of a small data set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

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
        kind: what it is called in words.
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
    kind: str = "slice"

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
        return [f"{self.metric} on {self.kind} {self.slice!r} ({self.rule}): {one}" for one in told]

    def _missed(self, found: Interval) -> str:
        if self.policy.at_least is not None and found.high < self.policy.at_least:
            return f"at least {self.policy.at_least:g}"
        if self.policy.at_most is not None and found.low > self.policy.at_most:
            return f"at most {self.policy.at_most:g}"
        return ""

    def _interval(self, interval: Interval, sign: str) -> str:
        value, low, high = (f"{end:{sign}.4f}" for end in (interval.value, interval.low, interval.high))
        return (
            f"{value}, interval that holds beside those of all {self.kind}s [{low}, {high}], n = {self.count}"
        )

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
    ids = scored.ids if scored else present.test.ids
    judged = is_judged(bundle)
    sliced = None if judged else slices.read(present.spec.name, ids)
    if sliced is None:
        return lacking(name, "slices", policy.slices, judged)
    ours = theirs = None
    if scored:
        ours, theirs = scored.candidate[0], scored.champion[0]
    else:
        try:
            ours = comparison.score(bundle, present)[0]
        except ValueError as error:
            return Check("slices", bad=(f"cannot be measured: {error}",))
    return look(name, "slices", sliced, ours, theirs, policy.slices, policy.slice_margin)


def is_judged(bundle: Bundle) -> bool:
    """Say whether a judge measures the bundle, on samples: these are in no slice and no challenge set."""
    return comparison.task_of(bundle).COMPARED_BY_JUDGE


def lacking(name: str, key: str, asked: Mapping[str, SlicePolicy], judged: bool) -> Check | None:
    """Return what a check finds of ``asked``, the policy's ``key``, where there is nothing; None where none is."""
    words = key.replace("_", " ")
    told = f"is measured on samples, which are in no {words}" if judged else f"has no {words}"
    bad = tuple(f"{FILE}: gate.{name}.{key}.{one}: the model {told}" for one in asked)
    return Check(key, bad=bad) if bad else None


def look(
    name: str,
    key: str,
    sliced: Slices,
    ours: Comparable,
    theirs: Comparable | None,
    asked: Mapping[str, SlicePolicy],
    margin: float,
) -> Check:
    """Return what was found of slices, or of challenge sets, which are slices of all of their images.

    Args:
        name: the model.
        key: of the policy; the name of the check.
        sliced: the slices.
        ours: what the candidate scores on the examples.
        theirs: what the champion does; None where there is none to compare with.
        asked: what the policy asks, by the names of slices, or what stands before ``=``.
        margin: by how much a difference may be negative of what has no other margin.
    """
    where, kind = f"{FILE}: gate.{name}.{key}", key.replace("_", " ").removesuffix("s")
    known = {*sliced.names, *(of_slice.partition("=")[0] for of_slice in sliced.names)}
    bad = [f"{where}.{one}: no such {kind}.{nearest(one, known)}" for one in asked if one not in known]
    of_each = [asked.get(one, asked.get(one.partition("=")[0])) for one in sliced.names]
    found, are_measured = _find(kind, ours, theirs, sliced, of_each, margin)
    bad += [told for finding in found for told in finding.bad]
    few = [finding for finding, is_measured in zip(found, are_measured, strict=True) if not is_measured]
    bad += [
        f"{where}: of {kind} {finding.slice!r} nothing can be shown: it has {finding.count} examples"
        for finding in few
        if finding.policy is not None
    ]
    good = [f"none of {len(found) - len(few)} {kind}s is shown to be worse than it may be"]
    if few:
        named = ", ".join(f"{finding.slice} ({finding.count})" for finding in few)
        good.append(f"{kind}s of which too few examples can show anything: {named}")
    evidence = {
        "metric": ours.metric,
        "better": ours.better,
        "slices": [finding.to_json() for finding in found],
    }
    return Check(key, () if bad else tuple(good), tuple(bad), evidence)


def _find(
    kind: str,
    ours: Comparable,
    theirs: Comparable | None,
    sliced: Slices,
    asked: Sequence[SlicePolicy | None],
    margin: float,
) -> tuple[list[SliceFinding], np.ndarray]:
    """Return the findings, and bool [S] of which slices anything can be shown."""
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
            margin=margin if asked[place] is None or asked[place].margin is None else asked[place].margin,
            kind=kind,
        )
        for place, name in enumerate(sliced.names)
    ], are_measured
