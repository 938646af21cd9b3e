"""The confusion table and what follows from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from components.metrics import bootstrap
from components.metrics.bootstrap import Interval


def confusion_table(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Return int64 [K, K]: examples by actual (row) and predicted class (column)."""
    return np.bincount(labels * num_classes + predicted, minlength=num_classes**2).reshape(
        num_classes, num_classes
    )


def macro_f1(table: np.ndarray) -> Interval:
    """Return the mean F1 over the classes that occur in ``table`` [K, K], with its interval.

    Examples matter only by their cell, so cells are drawn, as often as they have examples.
    """
    actual, predicted = np.nonzero(table)
    multiplicity = table[actual, predicted]
    one_hot = np.eye(len(table))
    # What an example adds: to the hits, to the actual and to the predicted counts of its class.
    terms = np.stack(
        [one_hot[actual] * (actual == predicted)[:, None], one_hot[actual], one_hot[predicted]], axis=1
    )
    terms = terms.reshape(len(actual), -1)

    def statistic(sums: np.ndarray, _: int) -> np.ndarray:
        hits, of_actual, of_predicted = sums.reshape(len(sums), 3, len(table)).transpose(1, 0, 2)
        return _mean_f1(hits, of_actual + of_predicted)

    total = multiplicity @ terms
    value = float(statistic(total[None], 0)[0])
    replicates = bootstrap.resample(terms, statistic, multiplicity=multiplicity)
    return bootstrap.bca(value, replicates, statistic(total - terms, 0), multiplicity)


def per_class(table: np.ndarray, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a row per class: its examples, precision, recall and F1; null where nothing defines one."""
    hits, actual, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return [
        {
            "class": name,
            "examples": int(actual[k]),
            "precision": _ratio(hits[k], predicted[k]),
            "recall": _ratio(hits[k], actual[k]),
            "f1": _ratio(2 * hits[k], actual[k] + predicted[k]),
        }
        for k, name in enumerate(classes)
    ]


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _mean_f1(hits: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return [B] from hits [B, K] and actual plus predicted counts [B, K], over the classes that occur."""
    occurs = sizes > 0
    f1 = np.divide(2 * hits, sizes, out=np.zeros_like(hits, dtype=np.float64), where=occurs)
    return f1.sum(axis=1) / occurs.sum(axis=1)
