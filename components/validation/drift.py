"""How far a manifest has moved from the one that was last accepted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from components.datasets.manifest import INPUT
from components.datasets.objects import categories
from components.validation.suite import Reference, Sketch

_MEASURED = ("width", "height", "brightness", "contrast", "sharpness")
COLUMNS = (*_MEASURED, *(f"{INPUT}{name}" for name in _MEASURED), "objects")
"""The columns that are compared, of those that a manifest has."""

_QUANTILES = np.linspace(0, 1, 21)

_KOLMOGOROV = 1.95
"""Two samples of one distribution exceed this, times sqrt(1/n + 1/m), once in a thousand (Smirnov, 1948)."""

_NORMAL = 3.29
"""A normal deviate exceeds this, in size, once in a thousand."""


def describe(rows: pd.DataFrame) -> Reference:
    """Return the statistics of a manifest that later ones are compared with."""
    return Reference(
        examples=len(rows),
        classes={
            str(name): int(count) for name, count in categories(rows).value_counts().sort_index().items()
        },
        columns={column: _sketch(rows[column]) for column in COLUMNS if column in rows},
    )


def columns(rows: pd.DataFrame, reference: Reference) -> pd.DataFrame:
    """Compare each measured column with the reference.

    Returns:
        A row per column: ``column``, ``distance`` (Kolmogorov-Smirnov, at the values of the sketch),
        ``chance`` (what one sample in a thousand of unmoved data exceeds) and ``excess`` (distance beyond
        chance, at least 0).
    """
    chance = _KOLMOGOROV * _spread(len(rows), reference.examples)
    return pd.DataFrame(
        [
            _excess({"column": name}, _distance(rows[name], sketch), chance)
            for name, sketch in reference.columns.items()
        ]
    )


def classes(rows: pd.DataFrame, reference: Reference) -> pd.DataFrame:
    """Compare the classes' shares, of the examples or of the objects, with the reference.

    Returns:
        A row per class: ``class``, ``distance`` (change of its share), ``chance`` and ``excess`` as in
        :func:`columns`.
    """
    now = categories(rows).value_counts()
    num_before, num_now = max(1, sum(reference.classes.values())), max(1, int(now.sum()))
    table = []
    for name in sorted({*reference.classes, *now.index}):
        before, after = reference.classes.get(name, 0) / num_before, now.get(name, 0) / num_now
        pooled = (reference.classes.get(name, 0) + now.get(name, 0)) / (num_before + num_now)
        chance = _NORMAL * np.sqrt(pooled * (1 - pooled)) * _spread(num_now, num_before)
        table.append(_excess({"class": name}, abs(after - before), chance))
    return pd.DataFrame(table)


def _spread(num_now: int, num_before: int) -> float:
    return float(np.sqrt(1 / num_now + 1 / num_before))


def _excess(row: dict, distance: float, chance: float) -> dict:
    distance, chance = round(float(distance), 6), round(float(chance), 6)
    return row | {"distance": distance, "chance": chance, "excess": max(0.0, round(distance - chance, 6))}


def _sketch(column: pd.Series) -> Sketch:
    data = _sorted(column)
    # Real values of the data, without interpolation: a column of few values is then described exactly.
    values = np.unique(np.quantile(data, _QUANTILES, method="inverted_cdf")) if len(data) else np.empty(0)
    below, up_to = _shares(data, values)
    return Sketch(
        values=tuple(values.tolist()),
        below=tuple(below.round(6).tolist()),
        up_to=tuple(up_to.round(6).tolist()),
    )


def _distance(column: pd.Series, sketch: Sketch) -> float:
    data = _sorted(column)
    if not len(data) or not sketch.values:
        return float(bool(len(data)) != bool(sketch.values))
    below, up_to = _shares(data, np.array(sketch.values))
    return max(np.abs(below - sketch.below).max(), np.abs(up_to - sketch.up_to).max())


def _sorted(column: pd.Series) -> np.ndarray:
    # Rounded as suite.yaml shows them: a value that many images share must meet itself there.
    return np.sort(column.dropna().to_numpy(float).round(6))


def _shares(data: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = max(1, len(data))
    return np.searchsorted(data, values, "left") / count, np.searchsorted(data, values, "right") / count
