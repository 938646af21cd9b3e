"""How a score is spread within each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from components.pictures import style

_ROWS = 30
_BINS = 48


def draw(path: Path, values: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], *, axis: str) -> None:
    """Draw a histogram of ``values`` [N] for each class, one below another on one scale; mark each mean."""
    shown = [k for k in range(len(classes)) if (labels == k).any()][:_ROWS]
    edges = np.linspace(values.min(), values.max() + 1e-9, _BINS + 1)
    with style.figure(path, 5.2, 0.9 + 0.34 * len(shown)) as figure:
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for panel, k in zip(panels, shown, strict=True):
            own = values[labels == k]
            panel.stairs(np.histogram(own, edges)[0] / len(own), edges, fill=True, color=style.MAIN)
            panel.axvline(own.mean(), color=style.OTHER, linewidth=1.2)
            panel.set_yticks([])
            panel.spines["left"].set_visible(False)
            panel.set_ylabel(style.short(classes[k]), rotation=0, ha="right", va="center")
            panel.tick_params(axis="x", length=0 if panel is not panels[-1] else 3)
        panels[0].set_title("Test examples by class; line: mean")
        panels[-1].set_xlabel(axis)
