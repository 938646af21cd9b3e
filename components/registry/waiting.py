"""How a version stands that every check of the gate speaks for and that waits: for requests, for people, or both.

What requests of the running server show is looked at by the gate (:mod:`components.gate`), which records how a trial
ended. It is about one decision, as an approval is, and counts no more where the gate decides anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from components.project.sections import GatePolicy
from components.registry import approval, ledger
from components.registry.approval import Approval
from components.registry.ledger import Entry


def of(
    decision: Entry, entries: Sequence[Entry], policy: GatePolicy, now: datetime | None = None
) -> Approval:
    """Return how a pending ``decision`` stands by the ``entries`` of its model's ledger, ``now`` or at present.

    Its verdict is ``refused`` where the trial failed, and ``approved`` where nothing is waited for any more.
    """
    if policy.approval is None and policy.trial is not None:
        said = Approval("approved", decision.reasons)
    else:
        said = approval.of(decision, entries, policy, now)
    if not needs_trial(decision, policy) or said.verdict in ("rejected", "lapsed"):
        return said
    ended = trial(decision, entries)
    if ended is None:
        mend = f"darkroom promote {decision.model} --version {decision.version} looks at what servers counted"
        return Approval("pending", (f"is on trial: {mend}", *said.reasons), said.by)
    if ended.verdict == "failed":
        return Approval("refused", ended.reasons)
    return Approval(said.verdict, (*ended.reasons, *said.reasons), said.by)


def is_on_trial(decision: Entry, entries: Sequence[Entry], policy: GatePolicy) -> bool:
    """Whether a pending ``decision`` waits for requests of the running server."""
    return needs_trial(decision, policy) and trial(decision, entries) is None


def needs_trial(decision: Entry, policy: GatePolicy) -> bool:
    """Whether ``policy`` asks for a trial: not where there is no champion to agree with, and not of what was waived."""
    return policy.trial is not None and decision.champion is not None and decision.by == "gate"


def is_answering(entries: Sequence[Entry], champion: str, challenger: str) -> bool:
    """Whether the last word on the bundle ``challenger`` put it on trial beside ``champion``, and that goes on."""
    decisions = ledger.decisions(entries, challenger)
    if not decisions or decisions[-1].verdict != "pending" or decisions[-1].by != "gate":
        return False
    ended = {entry.about for entry in entries if entry.kind == "trial" or entry.verdict == "rejected"}
    return decisions[-1].champion_sha256 == champion and decisions[-1].id not in ended


def trial(decision: Entry, entries: Sequence[Entry]) -> Entry | None:
    """Return how the trial of ``decision`` ended, or None."""
    return next((entry for entry in entries if entry.kind == "trial" and entry.about == decision.id), None)
