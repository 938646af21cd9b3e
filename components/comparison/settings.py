"""The settings of two versions: those that differ, and how many are equal.

What a preset and overrides gave is compared where it was kept of both; of older versions only what was asked for.
"""

from __future__ import annotations

from typing import Any

from components.comparison.side import Side

_OVERRIDES = "overrides."


def compare(a: Side, b: Side) -> dict[str, Any]:
    """Return as JSON values what differs, by setting, the overrides of each, and the count of what is equal."""
    resolved = a.recipe.config is not None and b.recipe.config is not None
    ours, theirs = _values(a, resolved), _values(b, resolved)
    names = list(dict.fromkeys([*ours, *theirs]))
    differing = [name for name in names if ours.get(name) != theirs.get(name)]
    return {
        "resolved": resolved,
        "equal": len(names) - len(differing),
        "differing": [{"setting": name, "a": ours.get(name), "b": theirs.get(name)} for name in differing],
        "overrides": {"a": _overrides(a), "b": _overrides(b)},
    }


def _overrides(side: Side) -> dict[str, str]:
    return {
        name.removeprefix(_OVERRIDES): value
        for name, value in side.entry.items()
        if name.startswith(_OVERRIDES)
    }


def _values(side: Side, resolved: bool) -> dict[str, Any]:
    """Return every setting: those of the entry, and in place of overrides what they and the preset gave."""
    if not resolved:
        return dict(side.entry)
    asked = {name: value for name, value in side.entry.items() if not name.startswith(_OVERRIDES)}
    return asked | _flat(side.recipe.config or {})


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
