"""The one look of all pictures, and how they are written."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from data import atomic

DPI = 160
INK, MUTED, RULE = "#1f2933", "#66727f", "#d8dee4"
MAIN, OTHER, WRONG = "#2a6f97", "#e09f3e", "#c0392b"
SHADES = LinearSegmentedColormap.from_list("darkroom", ["#ffffff", "#cfe3ee", "#7fb2cf", MAIN, "#123c55"])

_LOOK = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


@contextmanager
def figure(
    path: Path, width: float, height: float, *, layout: str | None = "constrained"
) -> Iterator[Figure]:
    """Yield an empty figure of ``width`` x ``height`` inches; it is written to ``path`` as PNG at the end.

    A user's own matplotlib settings do not show, and no time or version is written: the bytes follow from
    what is drawn.
    """
    with matplotlib.style.context(_LOOK, after_reset=True):
        canvas = FigureCanvasAgg(Figure(figsize=(width, height), dpi=DPI, layout=layout))
        yield canvas.figure
        content = io.BytesIO()
        canvas.print_png(content, metadata={"Software": None})
    atomic.write_bytes(path, content.getvalue())


def short(name: str, length: int = 14) -> str:
    """Return ``name``, cut to ``length`` characters."""
    return name if len(name) <= length else name[: length - 1] + "…"


def ruled(axes: Axes, axis: str = "y") -> None:
    """Rule thin lines along ``axis``, behind what is drawn."""
    axes.grid(axis=axis)
    axes.tick_params(length=0)
