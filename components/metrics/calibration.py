"""Calibration: whether what is said with 80 % is right in 80 % of all cases (Guo et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.metrics import bootstrap
from components.metrics.bootstrap import Interval

BINS = 15
"""Of equal width over the confidence, as in the paper."""


@dataclass(frozen=True)
class Reliability:
    """A row per bin of confidence that has examples, each [B].

    Attributes:
        examples: how many there are in the bin.
        confidence: the mean of the greatest probability.
        accuracy: the share that is right.
    """

    examples: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(confidence: np.ndarray, right: np.ndarray) -> Reliability:
    """Sort examples into bins by ``confidence`` [N] in [0, 1] and see how many of each are ``right`` [N]."""
    sums = _terms(confidence, right).sum(axis=0).reshape(BINS, 3)
    examples, sure, hits = sums[sums[:, 0] > 0].T
    return Reliability(examples.astype(np.int64), sure / examples, hits / examples)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> Interval:
    """Return the expected calibration error, the mean distance of confidence and accuracy over the bins.

    A resampled set is off by chance too, on top of what the model is off: its error is greater on average. The
    interval is therefore that of the replicates about their median, laid about the value.
    """
    terms = _terms(confidence, right)

    def error(sums: np.ndarray, size: int) -> np.ndarray:
        bins = sums.reshape(len(sums), BINS, 3)
        return np.abs(bins[:, :, 1] - bins[:, :, 2]).sum(axis=1) / size

    value = float(error(terms.sum(axis=0)[None], len(terms))[0])
    replicates = bootstrap.resample(terms, error)
    spread = bootstrap.percentile(value, value + replicates - np.median(replicates))
    return Interval(value, max(0.0, min(spread.low, value)), max(spread.high, value))


def _terms(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return [N, 3 * BINS]: one, the confidence and whether it is right, in the columns of the example's bin."""
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    terms = np.zeros((len(confidence), BINS, 3))
    terms[np.arange(len(confidence)), bins] = np.stack([np.ones(len(right)), confidence, right], axis=1)
    return terms.reshape(len(confidence), -1)
