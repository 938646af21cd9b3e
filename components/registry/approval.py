"""People's word on a version that every check of the gate speaks for: what it needs, what was given, how it stands.

An approval is about one decision, and a decision about one question: the hashes of bundle, champion, data and policy.
Where one of these changes, the gate decides anew, and what was said of the old decision counts no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from components.project.sections import FILE, GatePolicy
from components.registry import ledger
from components.registry.ledger import Entry
from data.errors import UserError, nearest


class Approval(NamedTuple):
    """How a pending decision stands, why, and who approved it."""

    verdict: Literal["approved", "rejected", "pending", "lapsed", "refused"]
    reasons: tuple[str, ...]
    by: tuple[str, ...] = ()


def of(
    decision: Entry, entries: Sequence[Entry], policy: GatePolicy, now: datetime | None = None
) -> Approval:
    """Return how ``decision`` stands by the ``entries`` of its model's ledger, ``now`` or at the present time."""
    given = [entry for entry in entries if entry.about == decision.id and entry.kind == "approval"]
    for entry in given:
        if entry.verdict == "rejected":
            return Approval("rejected", (f"rejected by {entry.by} at {entry.at}", *entry.reasons))
    by = tuple(dict.fromkeys(entry.by for entry in given))
    if len(by) >= policy.approvals:
        told = tuple(f"approved by {entry.by} at {entry.at}" for entry in given)
        return Approval("approved", (*told, *decision.reasons), by)
    until = datetime.fromisoformat(decision.at) + policy.waits
    if (now or datetime.now(UTC)) > until:
        mend = f"darkroom promote {decision.model} --version {decision.version} asks the gate anew"
        return Approval(
            "lapsed", (f"nobody approved it until {until.isoformat(timespec='seconds')}: {mend}",)
        )
    missing = policy.approvals - len(by)
    who = f" of {', '.join(policy.by)}" if policy.by else ""
    told = f"waits for {missing} approval{'s' if missing > 1 else ''}{who} until {until.isoformat(timespec='seconds')}"
    mend = f"darkroom approve {decision.model} --version {decision.version}, or darkroom reject"
    return Approval("pending", (f"{told}: {mend}", *decision.reasons), by)


def give(
    decision: Entry, verdict: Literal["approved", "rejected"], by: str, reason: str, policy: GatePolicy
) -> None:
    """Record what a person says of ``decision``; once for each person. Call it under the model's lock.

    Raises:
        UserError: the policy does not name the person, or a rejection has no reason.
    """
    if policy.by and by not in policy.by:
        where = f"{FILE}: gate.{decision.model}.by"
        raise UserError(f"{where}: {by!r} may not approve or reject.{nearest(by, policy.by)}")
    if verdict == "rejected" and not reason.strip():
        raise UserError("a rejection needs a reason (--reason): whoever trained the version reads it.")
    entry = Entry(
        kind="approval",
        model=decision.model,
        version=decision.version,
        bundle_sha256=decision.bundle_sha256,
        champion=decision.champion,
        verdict=verdict,
        reasons=(reason,) if reason else (),
        by=by,
        champion_sha256=decision.champion_sha256,
        about=decision.id,
    )
    ledger.record(entry, f"{decision.id}:{by}:{verdict}", {"decision": decision.id})
