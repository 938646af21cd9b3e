"""A few numbers per class, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.pictures import style


def draw(
    path: Path, groups: Mapping[str, np.ndarray], classes: tuple[str, ...], *, axis: str, line: float
) -> None:
    """Draw a bar per class for each of ``groups`` (name to [K]), and a dashed ``line`` to reach."""
    places = np.arange(len(classes))
    breadth = 0.8 / len(groups)
    with style.figure(path, float(np.clip(1.2 + 0.5 * len(classes), 4.0, 14.0)), 2.8) as figure:
        axes = figure.add_subplot()
        colours = (style.RULE, style.MAIN, style.OTHER)
        for i, (name, heights) in enumerate(groups.items()):
            axes.bar(
                places + (i - (len(groups) - 1) / 2) * breadth, heights, breadth, label=name, color=colours[i]
            )
        dashes = (0, (4, 3))
        axes.axhline(line, color=style.WRONG, linewidth=0.9, linestyle=dashes, label="covered from here on")
        names = [style.short(name) for name in classes]
        slanted = any(len(name) > 3 for name in names)
        axes.set_xticks(places, names, rotation=30 if slanted else 0, ha="right" if slanted else "center")
        axes.set_ylabel(axis)
        style.ruled(axes)
        figure.legend(loc="outside upper left", ncols=len(groups) + 1)
