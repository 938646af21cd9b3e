"""Learning curves: a panel per quantity, training and validation in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from components.pictures import style

_SPLITS = {"train": style.OTHER, "validation": style.MAIN}


def draw(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Draw the columns of a history over the first one (steps or iterations), NaN where a row has no value.

    ``train_loss`` and ``validation_loss`` share the panel ``loss``; a column of another name has its own.
    """
    (axis, steps), *rest = columns.items()
    panels: dict[str, dict[str, np.ndarray]] = {}
    for name, values in rest:
        split, _, quantity = name.partition("_")
        known = split in _SPLITS
        panels.setdefault(quantity if known else name, {})[split if known else ""] = values
    with style.figure(path, 3.4 * len(panels), 2.7) as figure:
        for panel, (quantity, lines) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            for split, values in lines.items():
                there = np.isfinite(values)
                marker = "o" if there.sum() == 1 else None
                panel.plot(
                    steps[there],
                    values[there],
                    color=_SPLITS.get(split, style.MAIN),
                    label=split,
                    marker=marker,
                )
            panel.set_title(quantity.replace("_", " "))
            panel.set_xlabel(axis)
            panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            finite = np.concatenate([values[np.isfinite(values)] for values in lines.values()])
            if len(finite) and finite.min() > 0 and finite.max() > 100 * finite.min():
                panel.set_yscale("log")
            else:
                panel.ticklabel_format(useOffset=False)
            panel.margins(x=0.02)
            style.ruled(panel)
            if any(lines):
                panel.legend()
