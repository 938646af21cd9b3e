"""Events that the ledger has: what the gate refused, what waits for people, which champion moved, what is not served.

They are derived from the ledger and not written beside it, so that what is recorded is told, also when the process that
recorded it was killed at once. Each workspace tells what it recorded itself: of several that share a registry, one.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from components.alerts.event import Event
from components.alerts.outbox import Outbox
from components.project import params
from components.project.sections import AlertsPolicy
from components.registry import ledger
from components.registry.ledger import Entry

_MARK = "ledger"
_AGAIN_S = 3600.0
"""Entries are looked at again that ended up to this long before the last one: they need not end in their order."""


def collect(outbox: Outbox, policy: AlertsPolicy) -> int:
    """Put in what the ledger has of this workspace since the outbox was made, and return how much was new.

    Raises:
        UserError, MlflowException: the registry does not answer.
    """
    since = max(outbox.since, outbox.mark(_MARK) - _AGAIN_S)
    entries = ledger.written_here(since)
    approvals = params.load_approvals() if any(entry.verdict == "pending" for entry in entries) else set()
    events = [event for entry in entries if (event := event_of(entry, entry.model in approvals))]
    new = sum(outbox.put(event, policy.to) for event in events)
    if entries:
        outbox.set_mark(_MARK, max(datetime.fromisoformat(entry.at).timestamp() for entry in entries))
    return new


def fell_back(
    model: str, version: str | int, champion_sha256: str, challenger_sha256: str, reasons: tuple[str, ...]
) -> Event:
    """Return the event of a trial that failed: one, whether a server's note or the gate's entry is found first."""
    told = "\n".join(reasons)
    key = hashlib.sha256("\n".join([champion_sha256, challenger_sha256, told]).encode()).hexdigest()
    return Event(f"trial:{key}", "trial", f"{model} version {version} failed its trial", told)


def event_of(entry: Entry, needs_approval: bool = False) -> Event | None:
    """Return what people are told of an entry, or None; ``needs_approval`` is of a pending decision."""
    what, text = f"{entry.model} version {entry.version}", "\n".join(entry.reasons)
    key = f"ledger:{entry.id}"
    before = "" if entry.champion is None else f", in place of version {entry.champion}"
    match entry.kind, entry.verdict:
        case "decision", "refused":
            stays = "" if entry.champion is None else f"; version {entry.champion} stays champion"
            return Event(key, "refusal", f"{what} was refused by the gate{stays}", text)
        case "decision", "pending" if needs_approval:
            mend = f"darkroom approve {entry.model}, or darkroom reject {entry.model} --reason WHY"
            return Event(key, "approval", f"{what} waits for approval", f"{mend}\n{text}")
        case "promotion", _:
            return Event(key, "promotion", f"{what} became champion{before}", f"by {entry.by}\n{text}")
        case "rollback", _:
            return Event(key, "rollback", f"{what} is champion again{before}", f"by {entry.by}\n{text}")
        case "refusal", _:
            serves = "nothing is served" if entry.champion is None else f"version {entry.champion} goes on"
            return Event(key, "not_served", f"{what} is not served: {serves}", f"by the {entry.by}\n{text}")
        case "trial", "failed":
            pair = entry.champion_sha256, entry.bundle_sha256
            return fell_back(entry.model, entry.version, *pair, entry.reasons)
    return None
