"""The four checks of a bundle: data, quality, parity, service. Each says in sentences what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from components.bundles.bundle import Bundle
from components.datasets import manifest
from components.judging import judge
from components.project import layout
from components.project.sections import FILE, GatePolicy, Threshold
from components.promotion import comparison, smoke_test
from components.promotion.comparison import Scored
from data.errors import UserError, nearest
from data.prepared import PreparedData


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: ``data``, ``thresholds``, ``comparison`` (quality is both of these), ``parity`` or ``service``.
        good: findings that speak for the bundle.
        bad: findings that speak against it; it holds when there are none.
        evidence: the numbers behind them, as JSON values.
        waivable: whether a person may overrule it: not where the bundle itself is wrong.
        momentary: whether all that speaks against it is a time, which other work on the machine may have stretched.
    """

    name: str
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    waivable: bool = True
    momentary: bool = False

    @property
    def holds(self) -> bool:
        """Whether the check holds."""
        return not self.bad

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "holds": self.holds,
            "good": list(self.good),
            "bad": list(self.bad),
            "evidence": self.evidence,
        }


def data(bundle: Bundle, present: PreparedData) -> Check:
    """Bless the data: validated, and the same that the bundle was trained on."""
    dataset = bundle.description["dataset"]
    file = layout.validation_file(dataset)
    trained, now = bundle.description["data"], present.spec.sha256
    evidence: dict[str, Any] = {"dataset": dataset, "trained_on": trained, "present": now}
    if trained != now:
        return _one(
            "data",
            False,
            f"{dataset}: trained on data {trained[:12]}, and the present is {now[:12]}",
            evidence,
        )
    if not file.exists():
        told = f"{file}: not found: {dataset} has not passed its validation"
        return _one("data", False, told, evidence)
    verdict, found = json.loads(file.read_text()), fingerprint(dataset)
    evidence |= {"manifest": found, "validated_manifest": verdict["manifest"], "suite": verdict["suite"]}
    if not verdict["success"]:
        return _one("data", False, f"{file}: {dataset} failed its validation", evidence)
    if verdict["manifest"] != found:
        told = f"{file}: is about another manifest than the one in {layout.ingested(dataset)}"
        return _one("data", False, told, evidence)
    return _one("data", True, f"{dataset} passed its validation", evidence)


def fingerprint(dataset: str) -> str | None:
    """Return the SHA-256 of the present manifest of ``dataset``, or None where there is none."""
    folder = layout.ingested(dataset)
    return manifest.fingerprint(folder) if (folder / manifest.MANIFEST).exists() else None


def thresholds(name: str, bundle: Bundle, policy: GatePolicy) -> Check:
    """Bless the metrics that the bundle was exported with, against the absolute bounds of the policy.

    What another judge than the present one measured is not held against them.
    """
    where = f"{FILE}: gate.{name}.thresholds"
    metrics = bundle.description["metrics"]
    if not policy.thresholds:
        return _one("thresholds", False, f"{where}: none: a model without thresholds is never promoted", {})
    judges = bundle.description.get("judge"), judge.fingerprint(bundle.description["dataset"])
    if judges[0] and judges[0] != judges[1]:
        told = (
            f"measured by judge {judges[0][:12]}, which is not the present one: evaluate and export it again"
        )
        return _one("thresholds", False, told, {"measured_by": judges[0], "present_judge": judges[1]})
    good, bad = [], []
    for metric, bound in policy.thresholds.items():
        if metric not in metrics:
            bad.append(f"{where}.{metric}: the model has no such metric.{nearest(metric, metrics)}")
            continue
        holds, told = _within(metric, metrics[metric]["value"], bound)
        (good if holds else bad).append(told)
    evidence = {metric: bound.model_dump(exclude_none=True) for metric, bound in policy.thresholds.items()}
    return Check("thresholds", tuple(good), tuple(bad), {"thresholds": evidence, "metrics": metrics})


def no_worse(
    bundle: Bundle,
    champion: Bundle | None,
    present: PreparedData,
    policy: GatePolicy,
    seen: np.ndarray | None = None,
) -> tuple[Check, Scored | None]:
    """Bless the bundle as no worse than the champion, both measured now on the present test split.

    Images whose contents are among ``seen`` int64 [n], which one of the two was trained or chosen on, are left out.

    Returns:
        The check, and what both score; None where they cannot be compared.
    """
    if champion is None:
        return _one("comparison", True, "no champion yet to compare with", {}), None
    if differing := comparison.differing(bundle, champion):
        told = f"the champion cannot be compared with: it has other {', '.join(differing)}"
        return _one("comparison", False, told, {"champion": champion.sha256, "differing": differing}), None
    shown = comparison.unseen(bundle, present, seen)
    left_out = len(present.test) - len(shown.test)
    if not len(shown.test):
        told = f"the champion cannot be compared with: all {left_out:,} test images were seen in training"
        return _one("comparison", False, told, {"champion": champion.sha256, "left_out": left_out}), None
    try:
        scored = comparison.score_both(bundle, champion, shown)
        differences = comparison.compare(scored, shown.spec.classes, policy)
    except ValueError as error:
        return _one("comparison", False, f"cannot be measured: {error}", {"champion": champion.sha256}), None
    evidence = {
        "champion": champion.sha256,
        "test_split_of": present.spec.sha256,
        "examples": differences[0].count,
        "left_out": left_out,
        "differences": [difference.to_json() for difference in differences],
    }
    # Of the good, the overall ones say enough.
    good = tuple(str(difference) for difference in differences if difference.holds and difference.of == "all")
    if left_out:
        good += (f"{left_out:,} of {len(present.test):,} test images were seen in training and are left out",)
    bad = tuple(str(difference) for difference in differences if not difference.holds)
    return Check("comparison", good, bad, evidence), scored


def champion_is_lost(version: int, sha256: str, reason: str) -> Check:
    """Return the comparison with a champion that was deleted and whose bundle is nowhere to be found."""
    told = f"version {version} was champion and was deleted, and there is nothing to compare with: {reason}"
    return _one("comparison", False, told, {"champion": sha256})


def parity(bundle: Bundle) -> Check:
    """Bless the agreement of the graph with PyTorch, which export demanded and the bundle's hash covers."""
    measured = bundle.description.get("parity") or {}
    batches = measured.get("batches") or {}
    told = f"ONNX Runtime agreed with PyTorch at export, at batches of {', '.join(sorted(batches, key=int))}"
    if not batches:
        told = "was exported without a comparison of ONNX Runtime with PyTorch"
    return _binding("parity", bool(batches), told, {"parity": measured})


def service(bundle: Bundle, policy: GatePolicy) -> Check:
    """Bless the serving: the server, started afresh, gives the golden answers over HTTP, in time and within memory."""
    try:
        measured = smoke_test.run(bundle, policy.max_latency_ms)
    except UserError as error:
        told = f"a fresh server does not serve it: {error}"
        return _binding("service", False, told, {})
    latency, memory = measured.median_latency_ms, measured.memory_mb
    evidence = asdict(measured) | {
        "max_latency_ms": policy.max_latency_ms,
        "max_memory_mb": policy.max_memory_mb,
    }
    in_time, in_memory = latency <= policy.max_latency_ms, memory <= policy.max_memory_mb
    timed = f"an answer takes {latency:.2f} ms (median; at most {policy.max_latency_ms:g})"
    if not in_time:
        timed += (
            f": the best of {measured.tries} tries; the processor worked {measured.processor_ms:.2f} ms of it"
        )
    limits = {timed: in_time, f"it takes {memory:.0f} MiB (at most {policy.max_memory_mb:g})": in_memory}
    good = ["a fresh server gave the golden answers", *(told for told, holds in limits.items() if holds)]
    bad = [told for told, holds in limits.items() if not holds]
    return Check("service", tuple(good), tuple(bad), evidence, momentary=in_memory and not in_time)


def _one(name: str, holds: bool, told: str, evidence: Mapping[str, Any]) -> Check:
    return Check(name, *(((told,), ()) if holds else ((), (told,))), dict(evidence))


def _binding(name: str, holds: bool, told: str, evidence: Mapping[str, Any]) -> Check:
    return replace(_one(name, holds, told, evidence), waivable=False)


def _within(metric: str, value: float, bound: Threshold) -> tuple[bool, str]:
    limits = [
        ("at least", bound.at_least, lambda limit: value >= limit),
        ("at most", bound.at_most, lambda limit: value <= limit),
    ]
    parts = [(word, limit, met(limit)) for word, limit, met in limits if limit is not None]
    told = f"{metric} is {value:.4f}, must be " + " and ".join(
        f"{word} {limit:g}" for word, limit, _ in parts
    )
    return all(met for _, _, met in parts), told
