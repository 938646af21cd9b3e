"""The reliability diagram: how often a model is right by how sure it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from components.pictures import style


def draw(path: Path, confidence: np.ndarray, accuracy: np.ndarray, examples: np.ndarray, title: str) -> None:
    """Draw ``accuracy`` over ``confidence``, a point per bin, all [B]; the more ``examples``, the larger."""
    with style.figure(path, 3.2, 3.2) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)), label="calibrated")
        axes.plot(confidence, accuracy, color=style.MAIN, linewidth=1.0)
        axes.scatter(confidence, accuracy, 8 + 120 * examples / examples.sum(), color=style.MAIN, zorder=3)
        low = min(0.9, confidence.min(), accuracy.min())
        axes.set(xlim=(low - 0.03, 1.03), ylim=(low - 0.03, 1.03), xlabel="confidence", ylabel="accuracy")
        axes.set_aspect("equal")
        axes.set_title(title)
        style.ruled(axes)
        axes.legend(loc="lower right")
