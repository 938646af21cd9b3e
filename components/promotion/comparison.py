"""Candidate against champion: both answer the present test split now; differences are paired by example.

What holds is decided on intervals, never on values alone:

- **overall** (non-inferiority): the whole 95 % interval of the difference must lie above ``-margin``. Too few
  examples leave a wide interval, and with it the champion in place: to be no worse has to be shown.
- **each class**, and each further score (harm): fails only when the whole interval lies below the negative
  margin. A class has a tenth of the examples or less: to demand proof of each would refuse every retraining
  of a small data set.

Generators have no score per test example: their kernel distance to the test images is taken for each of
several seeds, the same for both and by the same judge, and the differences are paired by seed.

Nor is an average precision or a mean overlap a mean of scores per example: its difference is taken on sets of images,
drawn anew, the same for both, from all classes' objects and from each one's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from components import tasks
from components.bundles.bundle import Bundle
from components.metrics import bootstrap
from components.metrics.bootstrap import Interval
from components.project.params import GatePolicy
from data.prepared import PreparedData


@dataclass(frozen=True)
class Score:
    """Scores of one bundle: ``values`` [N] per test example, or per seed when ``labels`` is None."""

    metric: str
    better: Literal["higher", "lower"]
    values: np.ndarray
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Difference:
    """How much better the candidate is than the champion, in the metric's unit; negative where it is worse.

    Attributes:
        metric: what is compared.
        of: ``all``, or the name of a class.
        candidate: mean score of the candidate.
        champion: mean score of the champion.
        value: the difference, turned so that more is better.
        low: lower end of its paired 95 % interval.
        high: upper end.
        count: examples (or seeds) that it rests on.
        margin: by how much it may be negative.
        rule: ``no worse`` (``low`` above ``-margin``) or ``no harm`` (``high`` not below ``-margin``).
    """

    metric: str
    of: str
    candidate: float
    champion: float
    value: float
    low: float
    high: float
    count: int
    margin: float
    rule: Literal["no worse", "no harm"]

    @property
    def holds(self) -> bool:
        """Whether the rule is met."""
        return self.low > -self.margin if self.rule == "no worse" else self.high >= -self.margin

    def __str__(self) -> str:
        where = "" if self.of == "all" else f" on class {self.of!r}"
        number = (
            f"{self.value:+.4f}, paired 95 % interval [{self.low:+.4f}, {self.high:+.4f}], n = {self.count}"
        )
        bound = "must lie wholly above" if self.rule == "no worse" else "must reach up to"
        return f"{self.metric}{where}: {self._verdict()}: {number}; {bound} {-self.margin:g}"

    def _verdict(self) -> str:
        if self.holds:
            return "no worse than the champion" if self.rule == "no worse" else "no clear harm"
        return "worse than the champion" if self.high < 0 else "not shown to be no worse than the champion"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"holds": self.holds}


def compare(candidate: Bundle, champion: Bundle, data: PreparedData, policy: GatePolicy) -> list[Difference]:
    """Return the differences on the test split of ``data``, the primary one over all examples first.

    Raises:
        ValueError: an answer is not finite.
    """
    task = candidate.description["task"]
    if task in ("detection", "segmentation"):
        return _of_sets(task, candidate, champion, data, policy)
    ours, theirs = (_scores(task, bundle, data) for bundle in (candidate, champion))
    differences = []
    for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        rule = "no worse" if place == 0 else "no harm"
        differences.append(_difference(a, b, "all", slice(None), policy.margin, rule))
        for index, name in enumerate(data.spec.classes if a.labels is not None else ()):
            of_class = np.flatnonzero(a.labels == index)
            if len(of_class):
                differences.append(_difference(a, b, name, of_class, policy.class_margin, "no harm"))
    return differences


def _of_sets(
    task: str, candidate: Bundle, champion: Bundle, data: PreparedData, policy: GatePolicy
) -> list[Difference]:
    """Return the differences of the primary metric, over all classes and of each that has objects in the test split."""
    module = tasks.of(task)
    ours, theirs = (
        module.statistic(module.answer(bundle.predict, data), data) for bundle in (candidate, champion)
    )
    once = np.ones((1, len(data.test)), np.int64)
    values = zip(ours(once)[0], theirs(once)[0], strict=True)
    intervals = bootstrap.of_sets(lambda counts: ours(counts) - theirs(counts), len(data.test))
    labels = data.test.box_labels
    holding = [(labels >= 0).any(axis=1), *((labels == k).any(axis=1) for k in range(data.spec.num_classes))]
    rows = zip(["all", *data.spec.classes], values, intervals, holding, strict=True)
    return [
        Difference(
            metric=candidate.description["primary"],
            of=of,
            candidate=float(a),
            champion=float(b),
            value=interval.value,
            low=interval.low,
            high=interval.high,
            count=len(data.test) if of == "all" else int(images.sum()),
            margin=policy.margin if of == "all" else policy.class_margin,
            rule="no worse" if of == "all" else "no harm",
        )
        for of, (a, b), interval, images in rows
        if interval is not None
    ]


def _scores(task: str, bundle: Bundle, data: PreparedData) -> list[Score]:
    module = tasks.of(task, [tensor["name"] for tensor in bundle.description["inputs"]])
    answers = module.answer(bundle.predict, data)
    labels = data.test.labels
    if task == "classification":
        return [Score("accuracy", "higher", module.scores(answers, data), labels)]
    if task == "density":
        right = (answers["probabilities"].argmax(axis=1) == labels).astype(np.float64)
        return [
            Score("bits_per_dim", "lower", module.scores(answers, data), labels),
            Score("bayes_accuracy", "higher", right),
        ]
    if task == "transcription":
        return [
            Score("exact_match", "higher", module.scores(answers, data), labels),
            Score("character_error_rate", "lower", module.error_rates(answers, data)),
        ]
    if task == "text_to_image":
        return [Score("class_agreement", "higher", module.scores(answers, data), labels[module.asked(data)])]
    if task == "controlled_generation":
        return [Score("edge_f1", "higher", module.scores(answers, data), labels[module.asked(data)])]
    if task in ("translation", "reenactment"):
        return [Score("l1", "lower", module.scores(answers, data), labels)]
    return [Score("kernel_distance", "lower", module.kernel_distances(answers, data))]


def _difference(a: Score, b: Score, of: str, chosen: Any, margin: float, rule: Any) -> Difference:
    ours, theirs = a.values[chosen], b.values[chosen]
    sign = 1 if a.better == "higher" else -1
    interval: Interval = bootstrap.paired(sign * ours, sign * theirs)
    return Difference(
        metric=a.metric,
        of=of,
        candidate=float(ours.mean()),
        champion=float(theirs.mean()),
        value=interval.value,
        low=interval.low,
        high=interval.high,
        count=len(ours),
        margin=margin,
        rule=rule,
    )
