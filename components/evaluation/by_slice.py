"""The primary metric on each slice of the test split, and test images of the slices that are surely the worst.

Challenge sets are slices of the images of all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from components.datasets.slices import Slices
from components.metrics import simultaneous
from components.metrics.paired import Comparable, Scores
from data.prepared import Split

WORST, SHOWN = 3, 8
"""Slices that are drawn, and images of each."""

_LOOKED_AT = 200
"""Images of a slice among which the worst are looked for, where a metric is no mean of scores per example."""


def measure(scores: Comparable, slices: Slices) -> dict[str, Any]:
    """Return what ``metrics.json`` says of the slices: the metric, and a row for each, the surely worst first.

    All intervals hold together; a slice of fewer than :data:`.estimates.FEWEST` examples has none, and comes last. A
    slice is the worse, the worse the end of its interval is that speaks for it, and of the same ends its value.
    """
    estimates = scores.by_slice(slices.members)
    (intervals,) = simultaneous.intervals(estimates)
    rows = [
        {"slice": name, "rule": rule, "examples": int(count)}
        | {"value": None if np.isnan(value) else float(value)}
        | {end: getattr(interval, end) if interval else None for end in ("low", "high")}
        for (name, rule), count, value, interval in zip(
            slices.rules.items(), estimates.counts, estimates.values, intervals, strict=True
        )
    ]
    sign, end = (1, "high") if scores.better == "higher" else (-1, "low")
    shown = [row for row in rows if row[end] is not None]
    return {
        "metric": scores.metric,
        "better": scores.better,
        "rows": sorted(shown, key=lambda row: (sign * row[end], sign * row["value"]))
        + [row for row in rows if row[end] is None],
    }


def draw(path: Path, scores: Comparable, test: Split, slices: Slices, measured: dict[str, Any]) -> None:
    """Draw a row for each of the worst slices, of its test images with the worst scores."""
    from components.pictures import grid
    from components.pictures.style import short

    worst = [row for row in measured["rows"] if row["low"] is not None][:WORST]
    if not worst:
        return
    images, captions, wrong = [], [], []
    for row in worst:
        chosen, values = _worst_images(
            scores, np.flatnonzero(slices.members[:, slices.names.index(row["slice"])])
        )
        images += chosen.tolist()
        wrong += [scores.better == "higher" and value == 0 for value in values]
        captions += [
            f"{short(row['slice'], 16)}\n{short(test.ids[place], 16)}\n{value:.3g}"
            for place, value in zip(chosen, values, strict=True)
        ]
    title = f"Worst {path.stem.replace('_', ' ')} by {scores.metric.replace('_', ' ')}: " + ", ".join(
        f"{row['slice']} {row['value']:.3f}" for row in worst
    )
    grid.draw(path, test.images[np.array(images)], captions, wrong, columns=SHOWN, title=title)


def _worst_images(scores: Comparable, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the worst :data:`SHOWN` of the examples ``members`` int64 [n], the worst first, and their scores."""
    if isinstance(scores, Scores):
        values = scores.values[members]
    else:
        members = members[:_LOOKED_AT]
        alone = np.zeros((len(members), len(scores.holding)), np.int64)
        alone[np.arange(len(members)), members] = 1
        values = scores.statistic(alone)[:, 0]
    sign = 1 if scores.better == "higher" else -1
    order = np.argsort(sign * values, kind="stable")[:SHOWN]  # NaN, of an image without an object, comes last
    return members[order], values[order]
