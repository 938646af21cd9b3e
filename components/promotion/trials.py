"""Trials: what servers counted about a version that waits is looked at whenever the gate is asked, and decides.

The one who asks is who moves the alias: the gate step of a run, a schedule or a person. Servers only count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from components.project.sections import GatePolicy, TrialPolicy
from components.registry import ledger, waiting
from components.registry.approval import Approval
from components.registry.ledger import Entry
from components.serving.rollout import fallen, trial
from components.serving.rollout.trial import Demand, Outcome
from components.serving.telemetry import tried
from components.serving.telemetry.tried import TrialRecord


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
    ledger.record(entry, f"{decision.id}:trial", asdict(_counted(decision, policy)))
    return waiting.of(decision, ledger.history(decision.model), policy)


def is_settled(decision: Entry, policy: GatePolicy) -> bool:
    """Say whether :func:`settle` would only repeat itself about a pending ``decision``, and move nothing."""
    entries = ledger.history(decision.model)
    outcome = _look(decision, entries, policy)
    if outcome is not None and outcome.verdict != "pending":
        return False
    return waiting.of(decision, entries, policy).verdict != "approved"


def demand_of(asked: TrialPolicy) -> Demand:
    """Return what a policy asks of a challenger, as servers know it."""
    return Demand(asked.in_all, asked.agreement, asked.failures, asked.latency)


def _look(decision: Entry, entries: Sequence[Entry], policy: GatePolicy) -> Outcome | None:
    """Return how a trial stands by what is counted now, or None where nothing is on trial."""
    if not waiting.is_on_trial(decision, entries, policy):
        return None
    pair, demand = (decision.champion_sha256, decision.bundle_sha256), demand_of(policy.trial)
    if reasons := fallen.read(*pair, demand):
        return Outcome("failed", reasons)
    return trial.judge(_counted(decision, policy), demand)


def _counted(decision: Entry, policy: GatePolicy) -> TrialRecord:
    kind = "canary" if policy.canary else "shadow"
    return tried.counted(decision.model, decision.champion_sha256, decision.bundle_sha256, kind)
