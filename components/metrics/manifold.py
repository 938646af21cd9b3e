"""Precision and recall of generated images (Kynkäänniemi et al. 2019, "Improved precision and recall metric")."""

from __future__ import annotations

import numpy as np

from components.metrics import bootstrap
from components.metrics.bootstrap import Interval

NEIGHBOURS = 3


def precision_recall(generated: np.ndarray, real: np.ndarray) -> tuple[Interval, Interval]:
    """Return how many of ``generated`` lie among ``real``, and how many of ``real`` among ``generated``; [N, D] each.

    To lie among images is to be no farther from one of them than its third nearest fellow is (section 2, k = 3). As
    there, both sets are of one size: the larger one is cut. The intervals draw the images anew that are asked about.
    """
    size = min(len(generated), len(real))
    generated, real = generated[:size].astype(np.float64), real[:size].astype(np.float64)
    between = _squared_distances(generated, real)
    precision = (between <= _reach(real)[None]).any(axis=1)
    recall = (between <= _reach(generated)[:, None]).any(axis=0)
    return bootstrap.proportion(precision), bootstrap.proportion(recall)


def _reach(items: np.ndarray) -> np.ndarray:
    """Return [N]: the squared distance of each item to its third nearest other one (the farthest of fewer)."""
    distances = np.sort(_squared_distances(items, items), axis=1)
    return distances[:, min(NEIGHBOURS, len(items) - 1)]


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return squares.clip(min=0)
