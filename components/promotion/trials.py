"""Trials: what servers counted about a version that waits is looked at whenever the gate is asked, and decides.

The one who asks is who moves the alias: the gate step of a run, a schedule or a person. Servers only count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from components.project.sections import GatePolicy
from components.registry import ledger, waiting
from components.registry.approval import Approval
from components.registry.ledger import Entry
from components.serving.rollout import trial
from components.serving.rollout.trial import Demand, Outcome
from components.serving.telemetry import shared
from components.serving.telemetry.shared import ShadowRecord


def settle(decision: Entry, policy: GatePolicy) -> Approval:
    """Return how a pending ``decision`` stands now; a trial that ended is recorded. Call it under the model's lock."""
    entries = ledger.history(decision.model)
    outcome = _look(decision, entries, policy)
    if outcome is None:
        return waiting.of(decision, entries, policy)
    if outcome.verdict == "pending":
        standing = waiting.of(decision, entries, policy)
        first, *others = standing.reasons
        return standing._replace(reasons=(first, *outcome.reasons, *others))
    entry = replace(
        decision, kind="trial", verdict=outcome.verdict, reasons=outcome.reasons, about=decision.id
    )
    ledger.record(entry, f"{decision.id}:trial", asdict(_counted(decision)))
    return waiting.of(decision, ledger.history(decision.model), policy)


def is_settled(decision: Entry, policy: GatePolicy) -> bool:
    """Say whether :func:`settle` would only repeat itself about a pending ``decision``, and move nothing."""
    entries = ledger.history(decision.model)
    outcome = _look(decision, entries, policy)
    if outcome is not None and outcome.verdict != "pending":
        return False
    return waiting.of(decision, entries, policy).verdict != "approved"


def _look(decision: Entry, entries: Sequence[Entry], policy: GatePolicy) -> Outcome | None:
    """Return how a trial stands by what is counted now, or None where nothing is on trial."""
    if not waiting.is_on_trial(decision, entries, policy):
        return None
    return trial.judge(_counted(decision), Demand(**policy.shadow.model_dump()))


def _counted(decision: Entry) -> ShadowRecord:
    return shared.shadow_record(decision.model, decision.champion_sha256, decision.bundle_sha256)
