"""Moves of the champion: promotion and rollback, recorded, and only from where it is expected to be.

MLflow sets an alias whatever it was before. A move therefore holds the workspace's lock, compares the alias
with the version that the decision was made against, and reads it again afterwards. A move that is killed on
the way is closed by the next one: it counts when the alias had arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components.registry import ledger, mlflow_store, versions
from components.registry.ledger import Entry
from components.registry.versions import Model, Version
from components.serving.telemetry import shared
from components.serving.telemetry.shared import ShadowRecord
from data.errors import UserError


@dataclass(frozen=True)
class Standing:
    """Where a model stands.

    Attributes:
        name: the registered model.
        champion: number of the version that is served; None when there is none.
        challenger: number of the version that waits for a decision or was refused.
        previous: number of the version that a rollback goes to.
        recorded: the champion that the ledger knows of.
        decision: the gate's last decision.
        shadow: what servers counted about the challenger, where they give it copied requests.
    """

    name: str
    champion: int | None
    challenger: int | None
    previous: int | None
    recorded: int | None
    decision: Entry | None
    shadow: ShadowRecord | None = None

    @property
    def moved_by_hand(self) -> bool:
        """Whether the champion alias was moved by other means than Darkroom."""
        return self.champion != self.recorded


def standings() -> list[Standing]:
    """Return where each registered model stands, by name; three queries for all of them."""
    entries = ledger.history()
    return [
        _standing(model, [entry for entry in entries if entry.model == name])
        for name, model in sorted(versions.snapshot().items())
        if any(version.bundle_sha256 for version in model.versions)
    ]


def rollback(name: str, to: int | None = None, *, by: str, reason: str = "") -> tuple[Version, int]:
    """Make the last champion before the present one champion again, or version ``to``, once served.

    After an alias was moved by hand, the last champion is the one that the ledger knows of.

    Returns:
        The champion now, and the number of the one before; they are the same when ``to`` was champion
        already.

    Raises:
        UserError: there is no earlier champion, ``to`` was never one, or its bundle is not whole any more.
    """
    with mlflow_store.lock(f"registry-{name}"):
        model = mend(name)
        champion = model.alias("champion")
        if champion is None:
            raise UserError(f"{name}: no champion yet: nothing to roll back.")
        if champion.number == to:
            return champion, champion.number
        target = _target(model, to)
        versions.fetch(target).check_golden()
        reasons = (reason,) if reason else ()
        move(model, target, champion, kind="rollback", by=by, reasons=reasons, evidence={"reason": reason})
        return target, champion.number


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

    Raises:
        UserError: the alias is not at ``expected``, or was moved from elsewhere at the same time.
    """
    name, before = model.name, expected.number if expected else None
    moves = [entry for entry in ledger.history(name) if entry.kind != "decision"]
    entry = Entry(kind, name, to.number, to.bundle_sha256, before, reasons=tuple(reasons), by=by)
    with ledger.recording(entry, f"{name}:{len(moves)}:{kind}:{before}:{to.number}", evidence):
        _require_champion(name, before)
        versions.point(name, "champion", to.number)
        _require_champion(name, to.number)
    _tidy(versions.model(name))


def mend(name: str) -> Model:
    """Close what a killed move left, and return the model as it is now; call it under the model's lock."""
    model = versions.model(name)
    if ledger.finish(name, model.aliases.get("champion")):
        _tidy(model)
        model = versions.model(name)
    return model


def _earlier(model: Model, entries: Sequence[Entry]) -> list[Version]:
    """Return the versions that a rollback can go to, the last champion last."""
    champion = model.aliases.get("champion")
    served = ledger.served(entries)
    if served and served[-1] == champion:
        served = served[:-1]
    return [version for number in served if number != champion and (version := model.version(number))]


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
    found = versions.champion(name)
    if (found.number if found else None) != number:
        at, wanted = (f"version {n}" if n else "nothing" for n in (found.number if found else None, number))
        raise UserError(
            f"{name}: the champion alias was moved from elsewhere meanwhile: it is at {at}, not at {wanted}. "
            "Decide again: darkroom promote " + name
        )


def _tidy(model: Model) -> None:
    """Point ``previous`` to where a rollback goes; take ``challenger`` from a version that is champion."""
    champion = model.alias("champion")
    if champion and model.alias("challenger") == champion:
        mlflow_store.client().delete_registered_model_alias(model.name, "challenger")
    if earlier := _earlier(model, ledger.history(model.name)):
        versions.point(model.name, "previous", earlier[-1].number)
    else:
        mlflow_store.client().delete_registered_model_alias(model.name, "previous")


def _standing(model: Model, entries: list[Entry]) -> Standing:
    champion, challenger, previous = (model.aliases.get(a) for a in ("champion", "challenger", "previous"))
    decisions = [entry for entry in entries if entry.kind == "decision"]
    served = ledger.served(entries)
    return Standing(
        model.name,
        champion,
        challenger,
        previous,
        served[-1] if served else None,
        decisions[-1] if decisions else None,
        _shadow(model),
    )


def _shadow(model: Model) -> ShadowRecord | None:
    champion, challenger = model.alias("champion"), model.alias("challenger")
    if not champion or not challenger:
        return None
    pair = champion.bundle_sha256, challenger.bundle_sha256
    found = shared.shadow_records(model.name)
    return next((record for record in found if (record.champion, record.challenger) == pair), None)
