"""Probabilities from decision values: one temperature for all classes (Guo et al. 2017, section 4.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

LEAST, MOST = 1e-3, 1e3
"""Bounds of the temperature: classes that are parted without a mistake would have it fall to 0."""
ROUNDS = 60
"""Golden-section steps: the interval shrinks to 3e-12 of its logarithm's length."""


def temperature(decisions: Tensor, labels: Tensor) -> float:
    """Return the T > 0 for which ``softmax(decisions / T)`` has the least mean cross-entropy.

    The loss is convex in ``1 / T``, hence has one minimum over ``log T``, too: golden-section search finds it. One
    number for all classes leaves the order of the decision values, and so the predicted class, as it is.

    Args:
        decisions: float [N, K].
        labels: int64 [N].
    """
    ratio = (math.sqrt(5) - 1) / 2
    low, high = math.log(LEAST), math.log(MOST)
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = (_loss(decisions, labels, point) for point in (left, right))
    for _ in range(ROUNDS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = _loss(decisions, labels, left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = _loss(decisions, labels, right)
    return math.exp((low + high) / 2)


def _loss(decisions: Tensor, labels: Tensor, log_temperature: float) -> float:
    scaled = decisions.to(torch.float64) / math.exp(log_temperature)
    return float(functional.cross_entropy(scaled, labels))
