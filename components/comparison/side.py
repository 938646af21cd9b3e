"""One version of two: all that its bundle, its run and the ledger say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.bundles.bundle import MODEL, Bundle
from components.registry import ledger, recipe, recorded, versions
from components.registry.ledger import Entry
from components.registry.recipe import Recipe
from components.registry.versions import Version


@dataclass(frozen=True)
class Side:
    """A version.

    Attributes:
        version: it itself.
        aliases: those that point to it.
        bundle: its bundle, opened.
        entry: its entry of ``params.yaml`` as it was, flat.
        recipe: what that resolved to.
        measured: its ``metrics.json``; empty where its run has none.
        decision: the gate's last decision on its bundle; None where the gate has not seen it.
        evidence: the numbers of that decision.
    """

    version: Version
    aliases: list[str]
    bundle: Bundle
    entry: dict[str, str]
    recipe: Recipe
    measured: dict[str, Any]
    decision: Entry | None
    evidence: dict[str, Any]

    def about(self) -> dict[str, Any]:
        """Return what names it, as JSON values."""
        tags = self.version.tags
        return {
            "name": self.version.name,
            "version": self.version.number,
            "aliases": self.aliases,
            "bundle_sha256": self.bundle.sha256,
            "task": self.bundle.description["task"],
            "family": self.bundle.description["family"],
            "git_commit": tags.get("git_commit"),
            "git_dirty": tags.get("git_dirty") == "true",
            "trained_on": tags.get("trained_on"),
        }

    def data(self) -> dict[str, Any]:
        """Return the data that it was made of; ``splits`` is None where nobody kept their sizes."""
        description = self.bundle.description
        return {
            "name": description["dataset"],
            "sha256": description["data"],
            "splits": self.recipe.splits,
        }

    def graph(self) -> dict[str, Any]:
        """Return the size of its graph, and what the gate measured of it; None where the gate has not."""
        # Older decisions call checks blessings.
        checks = self.evidence.get("checks", self.evidence.get("blessings", {}))
        service = checks.get("service", {}).get("evidence", {})
        return {
            "bytes": (self.bundle.folder / MODEL).stat().st_size,
            "median_latency_ms": service.get("median_latency_ms"),
            "memory_mb": service.get("memory_mb"),
        }

    def gate(self) -> dict[str, Any] | None:
        """Return the gate's last decision on it."""
        if self.decision is None:
            return None
        said = self.decision
        return {"verdict": said.verdict, "at": said.at, "by": said.by, "reasons": list(said.reasons)}


def read(version: Version) -> Side:
    """Read a version.

    Raises:
        UserError: its bundle is gone or not the one that was registered, or the registry does not answer.
    """
    bundle = versions.fetch(version)
    decisions = ledger.decisions(ledger.history(version.name), bundle.sha256)
    decision = decisions[-1] if decisions else None
    aliases = versions.model(version.name).aliases
    return Side(
        version=version,
        aliases=sorted(alias for alias, number in aliases.items() if number == version.number),
        bundle=bundle,
        entry=recorded.settings(version),
        recipe=recipe.of(version),
        measured=recorded.read_json(version, "evaluate/metrics.json") or {},
        decision=decision,
        evidence=ledger.evidence(decision) if decision else {},
    )
