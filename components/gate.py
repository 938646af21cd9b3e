"""The gate: decides whether a version becomes champion, keeps the decision, moves the aliases.

A version becomes champion only when every check of :mod:`components.promotion.checks` holds, all for the same
bundle hash. The first champion skips only the comparison. The same question (bundle, champion, data, policy)
is decided once; only a refusal for nothing but time, which a busy machine may have caused, is looked at again.
Where the policy says so, it moves nothing until people approve (:mod:`components.registry.approval`), or until the
version showed on requests of the running server what is asked of it: whoever asks the gate next has it look.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from components.bundles.bundle import Bundle
from components.project.layout import prepared
from components.project.params import load
from components.project.sections import GatePolicy
from components.promotion import by_challenge_set, by_slice, by_variant, checks, question, standing, trials
from components.promotion import champion as promotion
from components.promotion.checks import Check
from components.promotion.comparison import Scored
from components.promotion.question import Waiver
from components.registry import approval, ledger, locks, seen, versions, waiting
from components.registry.ledger import Entry
from components.registry.versions import Model, Version
from components.serving.telemetry import tried
from data.errors import UserError
from data.prepared import PreparedData


@dataclass(frozen=True)
class Decision:
    """What the gate decided.

    Attributes:
        name: the model.
        version: the version in question.
        promoted: whether it is champion now.
        verdict: ``promoted``, ``refused``, ``unchanged`` (it was champion already), or ``held`` (it was
            rolled back: only ``darkroom promote`` brings it back); where it is on trial or people have to approve,
            ``pending``, ``lapsed`` (nobody did in time) or ``rejected``.
        reasons: what speaks against it where it was refused, else what speaks for it.
        evidence: every number that was looked at.
    """

    name: str
    version: int
    promoted: bool
    verdict: Literal["promoted", "refused", "unchanged", "held", "pending", "lapsed", "rejected"]
    reasons: list[str]
    evidence: dict[str, Any]


def run(
    name: str, number: int | None = None, *, waiver: Waiver | None = None, by: str | None = None
) -> Decision:
    """Decide on the challenger of ``name``, or on version ``number``; it becomes champion when every check holds.

    Args:
        name: a model.
        number: a version; the challenger when left out.
        waiver: overrides a refusal.
        by: the person who asks, or None. Only a person brings back a version that was rolled back.

    Raises:
        UserError: there is no such version, a bundle is not the one that was registered, or the store does
            not answer.
    """
    with locks.of_models(name):
        model = promotion.mend(name)
        candidate, champion = model.find(number), model.alias("champion")
        if standing.is_champion(candidate, champion):
            return Decision(name, champion.number, True, "unchanged", *standing.accepted(champion))
        if by is None and (move := standing.rolled_back(candidate)):
            told = f"version {move.champion} was rolled back by {move.by} at {move.at}"
            mend = f"darkroom promote {name} --version {candidate.number} brings it back"
            return Decision(name, candidate.number, False, "held", [told, *move.reasons, mend], {})
        champion = promotion.to_beat(model)
        entry, evidence = _decide(candidate, champion, waiver, anew=by is not None)
        return _act(model, candidate, champion, entry, evidence, waiver.by if waiver else by or "gate")


def approve(
    name: str, number: int | None, *, verdict: Literal["approved", "rejected"], by: str, reason: str = ""
) -> Decision:
    """Record what a person says of a version that waits; it becomes champion when enough people approved it.

    Args:
        name: a model.
        number: a version; the challenger when left out.
        verdict: what the person says.
        by: who it is.
        reason: why; a rejection needs one.

    Raises:
        UserError: there is no such version, it does not wait for an approval, the person may not give one, or what
            the gate decided on has changed since.
    """
    with locks.of_models(name):
        model = promotion.mend(name)
        candidate, champion = model.find(number), promotion.to_beat(model)
        if standing.is_champion(candidate, model.alias("champion")):
            raise UserError(
                f"{name} version {candidate.number}: is champion already. darkroom rollback takes it back."
            )
        policy, history = load().gate.get(name, GatePolicy()), ledger.history(name)
        found = standing.waiting(candidate, champion, history)
        if policy.approval is None:
            raise UserError(f"{name} version {candidate.number}: waits for requests, and needs no approval.")
        given = approval.of(found, history, policy)
        if given.verdict in ("lapsed", "rejected"):
            raise UserError(f"{name} version {candidate.number}: {given.reasons[0]}")
        approval.give(found, verdict, by, reason, policy)
        return _act(model, candidate, champion, found, ledger.evidence(found), by)


def _act(
    model: Model,
    candidate: Version,
    champion: Version | None,
    entry: Entry,
    evidence: dict[str, Any],
    by: str,
) -> Decision:
    """Do what a decision, and people where it waits for them, say: move the champion or leave it."""
    verdict, reasons = entry.verdict, entry.reasons
    if verdict == "pending":
        policy = load().gate.get(model.name, GatePolicy())
        given = trials.settle(entry, policy)
        verdict, reasons = given.verdict, given.reasons
        if verdict == "approved":
            verdict, by = "promoted", ", ".join(given.by) or by
    if verdict == "promoted":
        promotion.move(
            model,
            candidate,
            champion,
            kind="promotion",
            by=by,
            reasons=reasons,
            evidence={"decision": entry.id},
        )
    return Decision(model.name, candidate.number, verdict == "promoted", verdict, list(reasons), evidence)


def is_decided(model: Model, sha256: str) -> bool:
    """Say whether :func:`run` would only repeat itself about the bundle ``sha256`` of ``model``."""
    candidate = next(iter(model.of_bundle(sha256)), None)
    if candidate is None:
        return False
    champion = model.alias("champion")
    if standing.is_champion(candidate, champion) or standing.rolled_back(candidate):
        return True
    found = ledger.last(question.key(question.present(candidate, promotion.to_beat(model))))
    if found is not None and found.verdict == "pending":
        return trials.is_settled(found, load().gate.get(model.name, GatePolicy()))
    # Promoted or approved but not champion: the move that should have followed was cut off.
    return found is not None and found.verdict == "refused" and not found.momentary


def _decide(
    candidate: Version, champion: Version | None, waiver: Waiver | None, *, anew: bool
) -> tuple[Entry, dict[str, Any]]:
    """Return the decision and its evidence, as kept; ``anew`` looks again at whatever was refused."""
    bundle = versions.fetch(candidate)
    present = PreparedData(prepared(bundle.description["dataset"]))
    policy = load().gate.get(candidate.name, GatePolicy())
    asked = question.ask(candidate, champion, present, policy, waiver)
    key = question.key(asked)
    found, history = ledger.last(key), ledger.history(candidate.name)
    if found and not _is_looked_at_again(found, history, policy, anew=anew):
        return found, ledger.evidence(found)
    if found:
        key += f":{len(history)}"
    compared = _compare(bundle, candidate, champion, present, policy)
    looked = _look(candidate.name, bundle, compared, present, policy)
    verdict, reasons = _judge(looked, waiver)
    on_trial = policy.trial is not None and champion is not None and waiver is None
    if verdict == "promoted" and (policy.approval == "required" or on_trial):
        verdict = "pending"
    momentary = verdict == "refused" and all(check.momentary for check in looked if check.bad)
    if found and momentary and not anew:
        return found, ledger.evidence(found)  # as before: one entry says it
    evidence = {
        "question": asked,
        "candidate_version": candidate.number,
        "champion_version": champion.number if champion else None,
        # Another than the champion's when the alias was moved by hand.
        "last_recorded_champion": recorded.version if (recorded := ledger.recorded(history)) else None,
        "checks": {check.name: check.to_json() for check in looked},
        "shadow": [
            asdict(record)
            for record in tried.shadow_records(candidate.name)
            if record.challenger == bundle.sha256
        ],
    }
    entry = Entry(
        kind="decision",
        model=candidate.name,
        version=candidate.number,
        bundle_sha256=candidate.bundle_sha256,
        champion=champion.number if champion else None,
        verdict=verdict,
        reasons=tuple(reasons),
        by=waiver.by if waiver else "gate",
        champion_sha256=champion.bundle_sha256 if champion else "",
        momentary=momentary,
    )
    return ledger.record(entry, key, evidence), evidence


def _is_looked_at_again(found: Entry, history: list[Entry], policy: GatePolicy, *, anew: bool) -> bool:
    """Say whether a decision does not stand: a refusal or a lapsed one that a person asks for ``anew``, or for time."""
    if found.verdict == "pending":
        return anew and waiting.of(found, history, policy).verdict in ("lapsed", "rejected")
    return found.verdict == "refused" and (anew or found.momentary)


class _Compared(NamedTuple):
    """What the champion says of a candidate.

    Attributes:
        check: the comparison.
        scored: what both score on the test split; None where they cannot be compared.
        champion: None where there is none that can be compared with.
        seen: int64 [n], contents that one of the two was trained or chosen on; None where nothing tells.
    """

    check: Check
    scored: Scored | None
    champion: Bundle | None
    seen: np.ndarray | None


def _compare(
    bundle: Bundle,
    candidate: Version,
    champion: Version | None,
    present: PreparedData,
    policy: GatePolicy,
) -> _Compared:
    contents = seen.of_any(candidate, *([champion] if champion else []))
    if champion is None:
        return _Compared(*checks.no_worse(bundle, None, present, policy), None, contents)
    try:
        theirs = versions.fetch(champion)
    except UserError as error:
        if versions.model(champion.name).of_bundle(champion.bundle_sha256):
            raise
        lost = checks.champion_is_lost(champion.number, champion.bundle_sha256, str(error))
        return _Compared(lost, None, None, contents)
    check, scored = checks.no_worse(bundle, theirs, present, policy, contents)
    return _Compared(check, scored, theirs if scored else None, contents)


def _look(
    name: str, bundle: Bundle, compared: _Compared, present: PreparedData, policy: GatePolicy
) -> list[Check]:
    variants = by_variant.check(bundle, present)
    by_part = [
        by_slice.check(name, bundle, compared.scored, present, policy),
        by_challenge_set.check(name, bundle, compared.champion, compared.seen, policy),
    ]
    return [
        checks.data(bundle, present),
        checks.thresholds(name, bundle, policy),
        compared.check,
        *(check for check in by_part if check),
        checks.parity(bundle),
        checks.service(bundle, policy),
        *([variants] if variants else []),
    ]


def _judge(looked: list[Check], waiver: Waiver | None) -> tuple[str, list[str]]:
    against = [f"{check.name}: {told}" for check in looked for told in check.bad]
    if not against:
        return "promoted", [f"{check.name}: {told}" for check in looked for told in check.good]
    binding = [check for check in looked if check.bad and not check.waivable]
    if waiver is None or binding:
        return "refused", against
    return "promoted", [f"waived by {waiver.by}: {waiver.reason}", *against]
