"""What the sheet tells of a model: what its stages left, and what the registry knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.bundles import bundle
from components.pipelines import tasks
from components.project import layout
from components.project.sections import GatePolicy, ModelParams, Threshold
from components.registry import ledger, versions, waiting
from components.registry.ledger import Entry
from components.registry.versions import Version
from components.report_page import pictures
from components.report_page.data_set import DataSet
from components.report_page.files import read_json
from components.report_page.pictures import Picture

_CHECKS = ("data", "thresholds", "comparison", "slices", "challenge_sets", "parity", "service", "variants")


@dataclass(frozen=True)
class MetricRow:
    """A metric of ``metrics.json`` beside its threshold; either may be missing.

    Attributes:
        name: the metric.
        measured: ``value``, ``low``, ``high``, ``better``; None when the model has no such metric.
        bounds: what the value is held against, in words and numbers.
        met: whether the threshold is met; None without one.
    """

    name: str
    measured: dict[str, Any] | None
    bounds: tuple[tuple[str, float], ...]
    met: bool | None


@dataclass(frozen=True)
class ModelSheet:
    """A model as the stages and the registry have it; what is not there yet is None or empty.

    Attributes:
        name: the model.
        settings: its entry of ``params.yaml``.
        policy: its entry under ``gate``.
        data: its data set.
        checkpoint: ``checkpoint.json``.
        speed: how fast the last training of this workspace was.
        measured: ``metrics.json``.
        pictures: all pictures of ``plots/``.
        bundle: ``bundle.json``.
        bundle_sha256: the bundle's identity.
        version: the registered version of this bundle.
        champion: the version that is served.
        history: its entries of the ledger, newest first.
        decision: the last decision on this bundle.
        evidence: the evidence of that decision.
        stages: what DVC calls its stages, by their kind.
    """

    name: str
    settings: ModelParams
    policy: GatePolicy
    data: DataSet
    checkpoint: dict[str, Any] | None
    speed: dict[str, Any] | None
    measured: dict[str, Any] | None
    pictures: list[Picture]
    bundle: dict[str, Any] | None
    bundle_sha256: str
    version: Version | None
    champion: Version | None
    history: list[Entry]
    decision: Entry | None
    evidence: dict[str, Any]
    stages: Mapping[str, str]

    @property
    def anchor(self) -> str:
        """The name of its section in links to the page: the same whatever other models there are."""
        return f"model-{self.name}"

    @property
    def is_begun(self) -> bool:
        """Whether there is anything of it: a training, here or in the registry's history."""
        return any((self.checkpoint, self.measured, self.bundle, self.champion, self.history))

    @property
    def is_champion(self) -> bool:
        """Whether the bundle of this workspace is the one that is served."""
        return self.champion is not None and self.champion.bundle_sha256 == self.bundle_sha256

    @property
    def standing(self) -> tuple[str, str]:
        """How far it has come, in words, and ``good``, ``bad`` or ``open``."""
        for missing, told in (
            (self.checkpoint is None, "not trained yet"),
            (self.measured is None, "not evaluated yet"),
            (self.bundle is None, "not exported yet"),
            (self.version is None, "not registered yet"),
        ):
            if missing:
                return told, "open"
        if self.is_champion:
            return "champion", "good"
        if self.decision is None:
            return "not decided yet", "open"
        if self.decision.verdict == "pending":
            on_trial = waiting.is_on_trial(self.decision, self.history, self.policy)
            return {
                "approved": ("approved", "good"),
                "rejected": ("rejected", "bad"),
                "pending": ("on trial" if on_trial else "waits for approval", "open"),
                "lapsed": ("nobody approved it in time", "open"),
                "refused": ("failed its trial", "bad"),
            }[waiting.of(self.decision, self.history, self.policy).verdict]
        return ("refused", "bad") if self.decision.verdict == "refused" else ("champion no more", "open")

    @property
    def primary(self) -> dict[str, Any] | None:
        """The primary metric's ``value``, ``low``, ``high`` and ``better``."""
        return self.measured["metrics"][self.measured["primary"]] if self.measured else None

    @property
    def task(self) -> str:
        """The task; empty before the model was evaluated."""
        return self.measured["task"] if self.measured else ""

    @property
    def read_bundle(self) -> str:
        """What follows the bundle in a command of ``docs/examples/read_bundle.py``."""
        return tasks.of(self.bundle["task"]).USAGE.read_bundle

    @property
    def judge(self) -> str | None:
        """SHA-256 of the judge that measured its generated images; None where nothing was judged."""
        return (self.measured or {}).get("judge")

    @property
    def metrics(self) -> list[MetricRow]:
        """Every metric, the primary one first, then thresholds on metrics that the model does not have."""
        measured = self.measured["metrics"] if self.measured else {}
        names = sorted(measured, key=lambda name: name != self.measured["primary"])
        names += [name for name in self.policy.thresholds if name not in measured]
        return [_metric_row(name, measured.get(name), self.policy.thresholds.get(name)) for name in names]

    @property
    def checks(self) -> dict[str, dict[str, Any]]:
        """What each check found when the gate decided on this bundle, in the order of the gate."""
        # Older decisions call them blessings.
        found = self.evidence.get("checks", self.evidence.get("blessings", {}))
        return dict(sorted(found.items(), key=lambda item: _CHECKS.index(item[0])))

    @property
    def latency_ms(self) -> float | None:
        """Median time of an answer, as the gate measured it."""
        return self.checks.get("service", {}).get("evidence", {}).get("median_latency_ms")

    @property
    def slices(self) -> list[dict[str, Any]]:
        """What was measured of each slice, the worst first, and what the gate found of it, ``found``."""
        return self._by_part("slices")

    @property
    def challenge_sets(self) -> list[dict[str, Any]]:
        """Likewise of each challenge set."""
        return self._by_part("challenge_sets")

    def _by_part(self, key: str) -> list[dict[str, Any]]:
        rows = (self.measured or {}).get(key, {}).get("rows", ())
        judged = self.checks.get(key, {}).get("evidence", {}).get("slices", ())
        found = {row["slice"]: row for row in judged}
        return [row | {"found": found.get(row["slice"])} for row in rows]

    @property
    def differences(self) -> list[dict[str, Any]]:
        """The paired differences from the champion, those over all examples first."""
        found = self.checks.get("comparison", {}).get("evidence", {}).get("differences", ())
        return sorted(found, key=lambda difference: difference["of"] != "all")

    @property
    def warnings(self) -> list[str]:
        """What on this sheet does not belong together."""
        told = []
        data, checkpoint, exported = self.data.spec, self.checkpoint, self.bundle
        if data and checkpoint and checkpoint["spec"]["sha256"] != data["sha256"]:
            told.append(f"Trained on an older state of {self.data.name} than the one that is prepared now.")
        if self.measured and exported and self.measured["metrics"] != exported["metrics"]:
            told.append("The bundle was exported before these metrics were measured.")
        if self.judge and self.judge != self.data.judge:
            told.append(
                "These distances were measured by another judge than the present one: they compare with no other's."
            )
        if self.evidence and self.evidence["question"]["policy"] != self.policy.to_json():
            told.append("The gate's rules in params.yaml were changed after this decision.")
        recorded = ledger.recorded(self.history[::-1])
        if (self.champion.bundle_sha256 if self.champion else "") != (
            recorded.bundle_sha256 if recorded else ""
        ):
            told.append(
                "The champion alias was moved by hand: no decision led to the version that is served."
            )
        return told


def read(
    name: str,
    settings: ModelParams,
    policy: GatePolicy,
    data: DataSet,
    registered: versions.Model,
    entries: Sequence[Entry],
    stages: Mapping[str, str],
) -> ModelSheet:
    """Read what is there of model ``name``.

    Args:
        name: the model.
        settings: its entry of ``params.yaml``.
        policy: its entry under ``gate``.
        data: its data set.
        registered: its versions.
        entries: its own of the ledger, oldest first.
        stages: what DVC calls its stages, by their kind.
    """
    description = read_json(layout.bundle(name) / bundle.DESCRIPTION)
    sha256 = bundle.sha256(layout.bundle(name)) if description else ""
    decisions = ledger.decisions(entries, sha256)
    decision = decisions[-1] if decisions else None
    return ModelSheet(
        name=name,
        settings=settings,
        policy=policy,
        data=data,
        checkpoint=read_json(layout.trained(name) / "checkpoint.json"),
        speed=read_json(layout.timing(name)),
        measured=read_json(layout.evaluated(name) / "metrics.json"),
        pictures=pictures.of(name),
        bundle=description,
        bundle_sha256=sha256,
        version=next(iter(registered.of_bundle(sha256)), None) if sha256 else None,
        champion=registered.alias("champion"),
        history=list(reversed(entries)),
        decision=decision,
        evidence=ledger.evidence(decision) if decision else {},
        stages=stages,
    )


def _metric_row(name: str, measured: dict[str, Any] | None, threshold: Threshold | None) -> MetricRow:
    limits = threshold.model_dump(exclude_none=True) if threshold else {}
    bounds = tuple((words.replace("_", " "), limit) for words, limit in limits.items())
    if not threshold:
        return MetricRow(name, measured, (), None)
    met = measured is not None and all(
        measured["value"] >= limit if words == "at least" else measured["value"] <= limit
        for words, limit in bounds
    )
    return MetricRow(name, measured, bounds, met and bool(bounds))
