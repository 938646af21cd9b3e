"""Precision over recall: how many of a detector's answers are right, the more of the objects it finds."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.pictures import style
from data import atomic

_COLOURS = (style.MAIN, style.OTHER, style.WRONG)


def draw(path: Path, recalls: np.ndarray, curves: Mapping[str, np.ndarray], title: str) -> None:
    """Draw each of ``curves``, name to precision, over ``recalls``, all [101]; at most three."""
    with style.figure(path, 4.2, 3.4) as figure:
        axes = figure.add_subplot()
        for (name, precision), colour in zip(curves.items(), _COLOURS, strict=False):
            axes.plot(recalls, precision, color=colour, label=name)
        axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision, mean over classes")
        axes.set_title(title)
        style.ruled(axes)
        figure.legend(loc="outside lower center", ncols=len(curves))


def write(path: Path, recalls: np.ndarray, curves: Mapping[str, np.ndarray]) -> None:
    """Write the curves as CSV, a row per recall, for ``dvc plots``."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["recall", *curves])
    for row in zip(recalls, *curves.values(), strict=True):
        writer.writerow([f"{value:.6g}" for value in row])
    atomic.write_text(path, stream.getvalue())
