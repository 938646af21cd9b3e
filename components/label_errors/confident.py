"""Confident learning: from probabilities that a classifier gave without having seen an example's label to wrong labels.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021, section 3. An example
counts as one of a class where its probability reaches the mean of those that carry this label. The counts, of each
given label and each such class, estimate how often one is written for the other: the joint distribution.

Examples are ranked by the probability of their label, and not pruned by the joint: where classes look alike, a
classifier's doubts are counted as noise, and the right label of a doubtful picture is pruned before a wrong one. A
label is likely wrong where noise of the joint's share, to any class, explains it better than its class does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDING = 1e-6
"""By how much a probability may miss its threshold, which may be the mean of equal ones."""


@dataclass(frozen=True)
class Findings:
    """What was found of N examples of K classes.

    Attributes:
        joint: float64 [K, K], how many examples carry a label (rows) and are of a class (columns); they sum up to N.
        given: float64 [N], the probability of the given label: the lower, the likelier an error.
        suggested: int64 [N], the most likely class other than the given one.
        is_likely: bool [N], whether the label counts as an error.
    """

    joint: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    is_likely: np.ndarray

    @property
    def share(self) -> float:
        """The share of labels that count as errors."""
        return float(self.is_likely.mean())


def find(probabilities: np.ndarray, labels: np.ndarray) -> Findings:
    """Find wrong labels.

    Args:
        probabilities: float [N, K], each row by a classifier that has not seen the example's label; K is at least 2.
        labels: int64 [N], the given labels.
    """
    probabilities = probabilities.astype(np.float64)
    joint = calibrated(confident_joint(probabilities, labels), labels)
    rows = np.arange(len(labels))
    given = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1
    limit = threshold(float(1 - np.trace(joint) / joint.sum()), len(joint))
    return Findings(joint, given, others.argmax(axis=1), given < limit)


def threshold(share: float, classes: int) -> float:
    """Return the probability of a label below which noise explains it better than its class does.

    A label's probability is ``P (1 - share) + (1 - P) e``, where P is that of its class, and ``e = share / (classes -
    1)`` falls to each label from every other class. At the threshold both terms are equal.
    """
    each = share / (classes - 1)
    return 2 * each * (1 - share) / (1 - share + each) if share < 1 else 0.0


def confident_joint(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return int64 [K, K]: how many examples of each label (rows) are confidently of each class (columns)."""
    size = probabilities.shape[1]
    of_each = np.bincount(labels, minlength=size)
    own = np.bincount(labels, probabilities[np.arange(len(labels)), labels], minlength=size)
    # Nothing is confidently of a class that no label names.
    thresholds = np.where(of_each > 0, own / np.maximum(of_each, 1), np.inf)
    reached = np.where(probabilities >= thresholds - _ROUNDING, probabilities, -1)
    is_counted = reached.max(axis=1) >= 0
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (labels[is_counted], reached.argmax(axis=1)[is_counted]), 1)
    # A class keeps one right example at least, as far as it has any.
    np.fill_diagonal(counts, np.maximum(counts.diagonal(), of_each > 0))
    return counts


def calibrated(counts: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``counts`` [K, K] as float64, with rows that sum up to how many examples carry each label."""
    of_each = np.bincount(labels, minlength=len(counts))
    return counts * (of_each / np.maximum(counts.sum(axis=1), 1))[:, None]
