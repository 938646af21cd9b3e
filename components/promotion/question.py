"""What a decision of the gate depends on. The same question is decided once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from components import tasks
from components.datasets import challenge_sets, slices
from components.judging.judge import fingerprint
from components.project.layout import prepared, validation_file
from components.project.params import load
from components.project.sections import GatePolicy
from components.promotion import checks
from components.registry.versions import Version
from data.errors import UserError
from data.prepared import PreparedData

RULES = 3
"""Counts up when the gate judges otherwise than before: decisions of older rules are then taken again."""


@dataclass(frozen=True)
class Waiver:
    """A person's word that a refused version may become champion all the same.

    It covers data, quality and latency. It cannot cover what the bundle is: hash, parity, golden answers.
    """

    by: str
    reason: str

    def __post_init__(self) -> None:
        if not self.by.strip() or not self.reason.strip():
            raise UserError("a waiver needs both a reason (--waive) and who gives it (--by).")


def present(candidate: Version, champion: Version | None) -> dict[str, Any]:
    """Return the question about ``candidate`` as data, policy and ``champion`` are now, without a waiver."""
    data = PreparedData(prepared(candidate.tags["dataset"]))
    return ask(candidate, champion, data, load().gate.get(candidate.name, GatePolicy()), None)


def ask(
    candidate: Version,
    champion: Version | None,
    data: PreparedData,
    policy: GatePolicy,
    waiver: Waiver | None,
) -> dict[str, Any]:
    """Return the question, JSON values: hashes of bundle, champion, data, and what measures them; policy and waiver."""
    validation = validation_file(data.spec.name)
    judged = tasks.of(candidate.tags["task"]).COMPARED_BY_JUDGE
    if judged:
        measured_by = {"judge": fingerprint(data.spec.name)}
    else:
        parts = {
            "slices": slices.read(data.spec.name),
            "challenge_sets": challenge_sets.read(data.spec.name),
        }
        measured_by = {key: found.sha256 for key, found in parts.items() if found}
    return measured_by | {
        "rules": RULES,
        "model": candidate.name,
        "bundle": candidate.bundle_sha256,
        "champion": champion.bundle_sha256 if champion else None,
        "data": data.spec.sha256,
        "manifest": checks.fingerprint(data.spec.name),
        "validation": hashlib.sha256(validation.read_bytes()).hexdigest() if validation.exists() else None,
        "policy": policy.to_json(),
        "waiver": asdict(waiver) if waiver else None,
    }


def key(question: dict[str, Any]) -> str:
    """Return the name under which the ledger keeps the decision on ``question``."""
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
