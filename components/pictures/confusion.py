"""The confusion matrix, as a picture and as the CSV that ``dvc plots`` draws."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from components.pictures import style
from data import atomic

_NUMBERED = 25  # more classes leave no room for numbers
_NAMED = 60


def draw(path: Path, table: np.ndarray, classes: tuple[str, ...]) -> None:
    """Draw ``table`` int [K, K], actual by predicted: numbers are examples, shades the share of the class."""
    size = len(classes)
    side = float(np.clip(0.42 * size, 3.0, 10.0))
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    with style.figure(path, side + 1.1, side + 0.9) as figure:
        axes = figure.add_subplot()
        # The square root lets a share of a few per cent be seen beside one of nearly all.
        axes.imshow(np.sqrt(shares), cmap=style.SHADES, vmin=0, vmax=1, interpolation="nearest")
        names = [style.short(name) for name in classes] if size <= _NAMED else []
        axes.set_xticks(
            range(len(names)), names, rotation=45 if any(len(n) > 2 for n in names) else 0, ha="center"
        )
        for label in axes.get_xticklabels():
            if label.get_rotation():
                label.set(ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(which="both", length=0)
        if size <= _NAMED:
            axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
            axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
            axes.grid(which="minor")
            axes.set_axisbelow(False)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="predicted", ylabel="actual")
        right = np.trace(table)
        axes.set_title(f"{right:,} of {table.sum():,} right")
        if size <= _NUMBERED:
            for actual, predicted in zip(*np.nonzero(table), strict=True):
                colour = "white" if shares[actual, predicted] > 0.3 else style.INK
                axes.text(
                    predicted,
                    actual,
                    f"{table[actual, predicted]}",
                    ha="center",
                    va="center",
                    color=colour,
                    size=7,
                )


def write(path: Path, labels: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...]) -> None:
    """Write a row per example, its actual and its predicted class name."""
    content = io.StringIO()
    rows = csv.writer(content, lineterminator="\n")
    rows.writerow(["actual", "predicted"])
    rows.writerows([classes[a], classes[p]] for a, p in zip(labels, predicted, strict=True))
    atomic.write_text(path, content.getvalue())
