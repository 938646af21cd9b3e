"""How far back a recurrent network remembers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from components.pictures import style


def draw(path: Path, gradients: np.ndarray) -> None:
    """Draw ``gradients`` [H], norms of the answer's gradient at the row ``d`` before the last, against the last's."""
    with style.figure(path, 4.2, 2.6) as figure:
        axes = figure.add_subplot()
        axes.plot(
            np.arange(len(gradients)), gradients / gradients[0], color=style.MAIN, marker="o", markersize=3
        )
        axes.set(xlabel="rows before the last", ylabel="gradient, last row = 1")
        if gradients.min() > 0 and gradients.max() > 10 * gradients.min():
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title("How far back it remembers")
        style.ruled(axes)
