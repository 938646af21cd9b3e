"""What a family can tell that its graph cannot: its optional functions, and what the evaluate stage asks them.

A task names those that it has a use for (``HOOKS``): the family's function by name, and a :data:`Hook` that calls it
where the family has one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.bundles.signature import Arrays, Predict
from data.arrays import whole
from data.prepared import PreparedData

MAPS, QUERY_MAPS, GRADIENTS = 24, 4, 500
"""How many test images are asked for attention by picture, for attention by query, and for the mean memory."""


@dataclass(frozen=True)
class Evaluated:
    """A model that is being evaluated.

    Attributes:
        data: its data.
        predict: its graph.
        seed: that it was trained with.
        device: where it computes, as PyTorch names it.
    """

    data: PreparedData
    predict: Predict
    seed: int
    device: str


Hook = Callable[[Callable[..., Any], Evaluated], Arrays]
"""(the family's function for this model, the model) -> more answers."""


def attention(tell: Callable[..., Any], model: Evaluated) -> Arrays:
    """Return ``attention``: where a model looks, [N, ...] of the first test images; nothing where it cannot tell."""
    maps = tell(model.data.test.images[:MAPS])
    return {} if maps is None else {"attention": maps}


def query_attention(tell: Callable[..., Any], model: Evaluated) -> Arrays:
    """Return ``query_attention``: where each query looks in the first test images; nothing where it cannot tell."""
    maps = tell(model.data.test.images[:QUERY_MAPS])
    return {} if maps is None else {"query_attention": maps}


def memory(tell: Callable[..., Any], model: Evaluated) -> Arrays:
    """Return ``memory``: gradients by distance, [H]."""
    return {"memory": tell(model.data.test.images[:GRADIENTS])}


def log_likelihood(tell: Callable[..., Any], model: Evaluated) -> Arrays:
    """Return ``log_likelihood``: nats of each test image, float64 [N]."""
    return {"log_likelihood": tell(whole(model.data.test.images), model.seed)}


def nothing_more(answers: Arrays, data: PreparedData) -> Arrays:
    """Return nothing: all that is measured was asked for (``extend`` of most tasks)."""
    return {}
