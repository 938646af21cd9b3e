"""Everything that is shown of two versions side by side, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.comparison import same_examples, settings, side
from components.comparison.side import Side
from components.project import params
from components.project.sections import GatePolicy
from components.registry.versions import Version
from data.errors import UserError


def compare(first: Version, second: Version) -> dict[str, Any]:
    """Compare version A, ``first``, with B, ``second``; differences say how much better B is.

    Raises:
        UserError: both are one version, the bundle of one is gone, or the registry does not answer.
    """
    if (first.name, first.number) == (second.name, second.number):
        raise UserError(f"{first.name} version {first.number}: is both of them. Name two versions.")
    a, b = side.read(first), side.read(second)
    found = same_examples.ask(a, b, params.load().gate.get(second.name, GatePolicy()))
    return {
        "a": a.about(),
        "b": b.about(),
        "settings": settings.compare(a, b),
        "data": {"same": a.data()["sha256"] == b.data()["sha256"], "a": a.data(), "b": b.data()},
        "metrics": _metrics(a, b),
        "same_judge": a.bundle.description.get("judge") == b.bundle.description.get("judge"),
        "same_examples": {"why_not": found.why_not, **found.data, "differences": found.differences},
        "slices": _parts("slices", a, b, found.slices),
        "challenge_sets": _parts("challenge_sets", a, b, found.challenge_sets),
        "graph": {"a": a.graph(), "b": b.graph()},
        "gate": {"a": a.gate(), "b": b.gate()},
    }


def _metrics(a: Side, b: Side) -> list[dict[str, Any]]:
    """Return what each was measured at by its own evaluation, the primary metric of B first."""
    ours, theirs = a.bundle.description["metrics"], b.bundle.description["metrics"]
    primary = b.bundle.description.get("primary")
    names = sorted(dict.fromkeys([*theirs, *ours]), key=lambda name: name != primary)
    return [{"metric": name, "a": ours.get(name), "b": theirs.get(name)} for name in names]


def _parts(
    key: str, a: Side, b: Side, differences: Mapping[str, dict[str, float] | None]
) -> list[dict[str, Any]]:
    """Return a row for each slice or challenge set that either was measured on, or both were asked now."""
    ours, theirs = (
        {row["slice"]: row for row in one.measured.get(key, {}).get("rows", ())} for one in (a, b)
    )
    return [
        {"name": name, "a": _estimate(ours.get(name)), "b": _estimate(theirs.get(name))}
        | {"difference": differences.get(name)}
        for name in dict.fromkeys([*theirs, *ours, *differences])
    ]


def _estimate(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return row and {key: row[key] for key in ("value", "low", "high", "examples")}
