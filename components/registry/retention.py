"""Which versions of a model stay when what is not needed is deleted, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from components.project.sections import GatePolicy, GcPolicy
from components.registry import ledger, waiting
from components.registry.ledger import Champion, Entry
from components.registry.versions import Model, Version

DAY_MS = 86_400_000


class Retention(NamedTuple):
    """What of one model stays.

    Attributes:
        reasons: of each registered version, by number, why it stays; empty where it does not.
        champion: the last champion on record, when its version was deleted: a candidate is held against its bundle.
    """

    reasons: dict[int, list[str]]
    champion: Champion | None

    def bundles(self, model: Model) -> set[str]:
        """Return the hashes of the bundles that stay."""
        kept = {version.bundle_sha256 for version in self.kept(model)}
        return kept | ({self.champion.bundle_sha256} if self.champion else set())

    def kept(self, model: Model) -> list[Version]:
        """Return the versions that stay, by ascending number."""
        return [version for version in model.versions if self.reasons[version.number]]

    def gone(self, model: Model) -> list[Version]:
        """Return the versions that do not stay, by ascending number."""
        return [version for version in model.versions if not self.reasons[version.number]]


def of(
    model: Model, entries: Sequence[Entry], policy: GcPolicy, now_ms: int, gate: GatePolicy | None = None
) -> Retention:
    """Say which versions of ``model`` stay.

    Args:
        model: a registered model.
        entries: those of the ledger about it, oldest first.
        policy: how many and how long.
        now_ms: the present, Unix time in ms.
        gate: the model's, which says what a decision waits for, and how long; the defaults where there is none.
    """
    reasons: dict[int, list[str]] = {version.number: [] for version in model.versions}
    recorded = ledger.recorded(entries)
    for alias, number in sorted(model.aliases.items()):
        if number in reasons:  # else registered as the versions had been read
            reasons[number].append(alias)
    for champion in ledger.served(entries)[-policy.keep_versions - 1 :]:  # the last of them is served
        version = champion.registered(model)
        if version and version != model.alias("champion"):
            reasons[version.number].append("a rollback can go to it")
    now, gate = datetime.fromtimestamp(now_ms / 1000, UTC), gate or GatePolicy()
    for decision in [entry for entry in entries if entry.verdict == "pending"]:
        version = Champion(decision.version, decision.bundle_sha256).registered(model)
        if version is None or waiting.of(decision, entries, gate, now).verdict != "pending":
            continue
        if not waiting.is_on_trial(decision, entries, gate):
            reasons[version.number].append("waits for approval")
        elif recorded and waiting.is_answering(entries, recorded.bundle_sha256, decision.bundle_sha256):
            reasons[version.number].append("on trial")
    for version in model.versions[-policy.keep_versions :]:
        reasons[version.number].append(f"one of the last {policy.keep_versions}")
    for version in model.versions:
        if version.registered_ms > now_ms - policy.keep_days * DAY_MS:
            reasons[version.number].append(f"younger than {policy.keep_days:g} days")
        if not version.bundle_sha256:
            reasons[version.number].append("not registered by Darkroom")
    return Retention(reasons, recorded if recorded and not recorded.registered(model) else None)
