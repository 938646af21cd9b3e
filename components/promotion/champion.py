"""Moves of the champion: promotion and rollback, recorded, and only from where it is expected to be.

MLflow sets an alias whatever it was before. A move therefore holds the model's lock, compares the alias
with the version that the decision was made against, and reads it again afterwards. A move that is killed on
the way is closed by the next one: it counts when the alias had arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components.project.params import load_canaries
from components.project.sections import CanaryPolicy
from components.promotion import trials
from components.registry import ledger, locks, mlflow_store, versions
from components.registry.ledger import Champion, Entry
from components.registry.versions import Model, Version
from components.serving.rollout import fallen
from components.serving.rollout.state import StateFile
from components.serving.telemetry import shared, tried
from components.serving.telemetry.tried import TrialRecord
from data.errors import UserError


@dataclass(frozen=True)
class Standing:
    """Where a model stands.

    Attributes:
        name: the registered model.
        champion: number of the version that is served; None when there is none.
        challenger: number of the version that waits for a decision or was refused.
        previous: number of the version that a rollback goes to.
        recorded: the champion that the ledger knows of, by number.
        moved_by_hand: whether the champion alias is at another bundle than the ledger's, or at none.
        deleted: whether the ledger's champion is no version of the registry any more.
        decision: the gate's last decision.
        shadow: what servers counted about the challenger, where they give it copied requests.
        canary: what they counted where it answers a share of the requests.
        fallen: why it answers none any more; empty where it did not fall back.
        refusal: what the ledger has of a server that refused the champion; None where none did, or the server of
            this folder serves it now.
    """

    name: str
    champion: int | None
    challenger: int | None
    previous: int | None
    recorded: int | None
    decision: Entry | None
    moved_by_hand: bool
    deleted: bool
    shadow: TrialRecord | None = None
    canary: TrialRecord | None = None
    fallen: tuple[str, ...] = ()
    refusal: Entry | None = None


def standings() -> list[Standing]:
    """Return where each model of registry or ledger stands, by name; three queries for all of them."""
    entries, registered, canaries = ledger.history(), versions.snapshot(), load_canaries()
    ours = {name for name, model in registered.items() if any(v.bundle_sha256 for v in model.versions)}
    return [
        _standing(
            registered.get(name, Model(name)),
            [entry for entry in entries if entry.model == name],
            canaries.get(name),
        )
        for name in sorted(ours | {entry.model for entry in entries if entry.model})
    ]


def to_beat(model: Model) -> Version | None:
    """Return what a candidate is held against: the champion, or the last one on record where its alias is gone.

    Its version may have been deleted; then its bundle is found by its hash, if anywhere.
    """
    found = model.alias("champion")
    if found or not (recorded := ledger.recorded(ledger.history(model.name))):
        return found
    return recorded.registered(model) or versions.of_run(model.name, *recorded)


def rollback(name: str, to: int | None = None, *, by: str, reason: str = "") -> tuple[Version, int]:
    """Make the last champion before the present one champion again, or version ``to``, once served.

    After an alias was moved by hand, the last champion is the one that the ledger knows of.

    Returns:
        The champion now, and the number of the one before; they are the same when ``to`` was champion
        already.

    Raises:
        UserError: there is no earlier champion, ``to`` was never one, or its bundle is not whole any more.
    """
    with locks.of_models(name):
        model = mend(name)
        champion = model.alias("champion")
        if champion and champion.number == to:
            return champion, champion.number
        before = champion or to_beat(model)
        if before is None:
            raise UserError(f"{name}: no champion yet: nothing to roll back.")
        target = _target(model, to)
        versions.fetch(target).check_golden()
        reasons = (reason,) if reason else ()
        move(model, target, before, kind="rollback", by=by, reasons=reasons, evidence={"reason": reason})
        return target, before.number


def move(
    model: Model,
    to: Version,
    expected: Version | None,
    *,
    kind: Literal["promotion", "rollback"],
    by: str,
    reasons: Sequence[str],
    evidence: dict[str, Any],
) -> None:
    """Move the champion alias of ``model`` to ``to`` and record it; call it under the model's lock.

    ``expected`` is the champion before, also where its alias is gone.

    Raises:
        UserError: the alias is not where ``model`` has it, or was moved from elsewhere at the same time.
    """
    name, at = model.name, model.aliases.get("champion")
    before, sha256 = (expected.number, expected.bundle_sha256) if expected else (None, "")
    if at is not None and at != before:
        raise _moved(name, at, before)
    entries = ledger.history(name)
    moves = [entry for entry in entries if entry.is_move]
    entry = Entry(
        kind,
        name,
        to.number,
        to.bundle_sha256,
        before,
        reasons=tuple(reasons),
        by=by,
        champion_sha256=sha256,
    )
    with ledger.recording(entry, f"{name}:{len(moves)}:{kind}:{before}:{to.number}", evidence):
        _require_champion(name, at)
        locks.require(name)
        versions.point(name, "champion", to.number)
        _require_champion(name, to.number)
    _tidy(versions.model(name), [*entries, entry])


def mend(name: str) -> Model:
    """Close what a killed move left, and return the model as it is now; call it under the model's lock."""
    model = versions.model(name)
    if ledger.finish(name, model.aliases.get("champion")):
        _tidy(model, ledger.history(name))
        model = versions.model(name)
    return model


def _earlier(model: Model, entries: Sequence[Entry]) -> list[Version]:
    """Return the versions that a rollback can go to, the last champion last."""
    champion = model.alias("champion")
    served = ledger.served(entries)
    if served and (champion is None or served[-1].is_same(_as_champion(champion))):
        served = served[:-1]
    found = [version for earlier in served if (version := earlier.registered(model))]
    return [version for version in found if version != champion]


def _as_champion(version: Version) -> Champion:
    return Champion(version.number, version.bundle_sha256)


def _target(model: Model, to: int | None) -> Version:
    earlier = _earlier(model, ledger.history(model.name))
    if to is None and earlier:
        return earlier[-1]
    for version in earlier:
        if version.number == to:
            return version
    numbers = ", ".join(str(version.number) for version in earlier) or "none"
    missing = "no earlier champion" if to is None else f"version {to} was no champion before"
    raise UserError(
        f"{model.name}: {missing}. Earlier champions: {numbers}. See darkroom history {model.name}."
    )


def _require_champion(name: str, number: int | None) -> None:
    at = versions.aliases(name).get("champion")
    if at != number:
        raise _moved(name, at, number)


def _moved(name: str, at: int | None, expected: int | None) -> UserError:
    at, expected = (f"version {number}" if number else "nothing" for number in (at, expected))
    return UserError(
        f"{name}: the champion alias was moved from elsewhere meanwhile: it is at {at}, not at {expected}. "
        "Decide again: darkroom promote " + name
    )


def _tidy(model: Model, entries: Sequence[Entry]) -> None:
    """Point ``previous`` to where a rollback goes; take ``challenger`` from a version that is champion."""
    champion = model.alias("champion")
    if champion and model.alias("challenger") == champion:
        mlflow_store.client().delete_registered_model_alias(model.name, "challenger")
    if earlier := _earlier(model, entries):
        versions.point(model.name, "previous", earlier[-1].number)
    elif "previous" in model.aliases:
        mlflow_store.client().delete_registered_model_alias(model.name, "previous")


def _standing(model: Model, entries: list[Entry], canary: CanaryPolicy | None) -> Standing:
    decisions = [entry for entry in entries if entry.kind == "decision"]
    champion, recorded = model.alias("champion"), ledger.recorded(entries)
    both = champion is not None and recorded is not None
    return Standing(
        name=model.name,
        champion=champion.number if champion else None,
        challenger=model.aliases.get("challenger"),
        previous=model.aliases.get("previous"),
        recorded=recorded.version if recorded else None,
        decision=decisions[-1] if decisions else None,
        moved_by_hand=not recorded.is_same(_as_champion(champion)) if both else bool(champion or recorded),
        deleted=recorded is not None and recorded.registered(model) is None,
        **_tried(model, canary),
        refusal=_refusal(champion, entries) if champion else None,
    )


def _refusal(champion: Version, entries: list[Entry]) -> Entry | None:
    """Return the refusal of ``champion``, unless the server of this folder serves it after all."""
    sha256 = champion.bundle_sha256
    found = [entry for entry in entries if entry.kind == "refusal" and entry.bundle_sha256 == sha256]
    if not found:
        return None
    served, refused = StateFile().read().champions.get(champion.name), shared.refusals().get(champion.name)
    is_served = served and served.sha256 == sha256 and not (refused and refused.sha256 == sha256)
    return None if is_served else found[-1]


def _tried(model: Model, canary: CanaryPolicy | None) -> dict[str, Any]:
    """Return what servers counted about the challenger, as a :class:`Standing` has it."""
    champion, challenger = model.alias("champion"), model.alias("challenger")
    if not champion or not challenger:
        return {}
    pair = champion.bundle_sha256, challenger.bundle_sha256
    found: dict[str, Any] = {
        kind: record
        for kind in ("shadow", "canary")
        if (record := tried.counted(model.name, *pair, kind)).is_counted
    }
    return found | ({"fallen": fallen.read(*pair, trials.demand_of(canary))} if canary else {})
