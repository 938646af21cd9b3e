"""How a version stands before the gate looks at it: champion already, rolled back, or waiting for people."""

from __future__ import annotations

from typing import Any

from components.promotion import question
from components.registry import ledger
from components.registry.ledger import Champion, Entry
from components.registry.versions import Version
from data.errors import UserError


def is_champion(candidate: Version, champion: Version | None) -> bool:
    """Whether ``champion`` is ``candidate``, or another version of the same bundle."""
    if champion is None:
        return False
    same_bundle = candidate.bundle_sha256 != "" and candidate.bundle_sha256 == champion.bundle_sha256
    return same_bundle or candidate.number == champion.number


def accepted(champion: Version) -> tuple[list[str], dict[str, Any]]:
    """Return why ``champion`` became one, and the evidence."""
    ours = [entry for entry in ledger.history(champion.name) if entry.bundle_sha256 == champion.bundle_sha256]
    # What waited for people was promoted by their word, which a move tells.
    verdicts = {"promoted", "pending"} if any(entry.kind == "promotion" for entry in ours) else {"promoted"}
    decisions = [entry for entry in ours if entry.kind == "decision" and entry.verdict in verdicts]
    if not decisions:
        return ["the champion alias was set by hand: the gate never saw it"], {}
    return list(decisions[-1].reasons), ledger.evidence(decisions[-1])


def rolled_back(candidate: Version) -> Entry | None:
    """Return the last move when it took this very bundle from its place."""
    moves = [entry for entry in ledger.history(candidate.name) if entry.is_move]
    if not moves or moves[-1].kind != "rollback":
        return None
    # Also after a deletion, when the registry knows nothing of it any more.
    taken = ledger.recorded(moves[:-1])
    if moves[-1].champion_sha256:
        taken = Champion(moves[-1].champion, moves[-1].champion_sha256)
    ours = Champion(candidate.number, candidate.bundle_sha256)
    return moves[-1] if taken and taken.is_same(ours) else None


def waiting(candidate: Version, champion: Version | None, history: list[Entry]) -> Entry:
    """Return the last decision on a version that waits for people and is about all that is so now, waived or not.

    Raises:
        UserError: there is none.
    """
    told = f"{candidate.name} version {candidate.number}"
    decisions = ledger.decisions(history, candidate.bundle_sha256)
    pending = [entry for entry in decisions if entry.verdict == "pending"]
    if not pending:
        word = f"the gate's word is {decisions[-1].verdict!r}" if decisions else "the gate has not spoken yet"
        raise UserError(f"{told}: does not wait for an approval: {word}.")
    now = question.key(question.present(candidate, champion))
    for entry in reversed(pending):
        if question.key(ledger.evidence(entry).get("question", {}) | {"waiver": None}) == now:
            return entry
    raise UserError(
        f"{told}: the gate has not decided on it as bundle, champion, data and policy are now: what was said before"
        f" counts no more. Ask it: darkroom promote {candidate.name} --version {candidate.number}"
    )
