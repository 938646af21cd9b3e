"""How long steps took when they ran last, and what that says of how long a run still goes on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from components.project import layout
from data import atomic

FILE = layout.STATE / "durations.json"


def load() -> dict[str, float]:
    """Return the seconds of each step that ever ran in this folder, by its address; none where nothing is known."""
    try:
        return json.loads(FILE.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def save(seconds: Mapping[str, float]) -> None:
    """Keep the ``seconds`` that steps took now in place of what was known of them."""
    if seconds:
        atomic.write_json(FILE, load() | dict(seconds))


def left(
    waiting: Collection[str], running: Mapping[str, float], known: Mapping[str, float], lanes: int
) -> str:
    """Return how long is left in words; empty where nothing is left or nothing known.

    Args:
        waiting: addresses of the steps that are still to run.
        running: seconds that those that run have run for, by address.
        known: seconds of steps, as they took last time.
        lanes: how many steps run side by side at most.
    """
    rest = [known[step] for step in waiting if step in known]
    rest += [max(0.0, known[step] - since) for step, since in running.items() if step in known]
    if not rest:
        return ""
    seconds = max(max(rest), sum(rest) / lanes)
    unknown = len(waiting) + len(running) - len(rest)
    more = f", and {unknown} step{'s' if unknown > 1 else ''} of unknown length" if unknown else ""
    return f"about {in_words(seconds)} left{more}"


def in_words(seconds: float) -> str:
    """Return a length of time to two digits or so: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
