"""A share by the length of a text: what is long is harder."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from components.metrics.bootstrap import Interval
from components.pictures import style
from data import atomic

_COLOURS = (style.MAIN, style.OTHER, style.WRONG)


def draw(path: Path, series: Mapping[str, Mapping[int, Interval]], what: str) -> None:
    """Draw each of at most three ``series``, by its name, over the lengths, with its intervals; one may be nameless."""
    with style.figure(path, 4.2, 2.8) as figure:
        axes = figure.add_subplot()
        for (name, shares), colour in zip(series.items(), _COLOURS, strict=False):
            lengths = np.array(list(shares))
            value, low, high = np.array([(s.value, s.low, s.high) for s in shares.values()]).T
            spread = [value - low, high - value]
            axes.errorbar(
                lengths, value, spread, color=colour, label=name, marker="o", markersize=3, capsize=2, lw=1.2
            )
        axes.set(xlabel="symbols", ylabel=what, ylim=(0, 1.03))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(f"{what[0].upper()}{what[1:]} by length")
        style.ruled(axes)
        if len(series) > 1:
            axes.legend()


def write(path: Path, shares: Mapping[int, Interval], what: str) -> None:
    """Write a row per length."""
    content = io.StringIO()
    rows = csv.writer(content, lineterminator="\n")
    rows.writerow(["symbols", what, "low", "high"])
    rows.writerows([length, share.value, share.low, share.high] for length, share in shares.items())
    atomic.write_text(path, content.getvalue())
