"""What tasks share whose graphs take images."""

from __future__ import annotations

import math

import numpy as np

from components.bundles.signature import Arrays, Predict
from components.metrics import bootstrap
from components.metrics.bootstrap import Interval
from data import at_once
from data.prepared import DataSpec, PreparedData

BATCH = 256
"""Most images that are asked for at a time; of large ones fewer."""


def answer(predict: Predict, data: PreparedData) -> Arrays:
    """Return the graph's answers on the images of the whole test split; see :func:`ask`."""
    return ask(predict, {"image": data.test.images}, data)


def ask(predict: Predict, inputs: Arrays, data: PreparedData) -> Arrays:
    """Return the graph's answers on ``inputs`` of the whole test split, in its order, asked for in batches.

    Raises:
        ValueError: an answer is not finite.
    """
    shape = max((values.shape[1:] for values in inputs.values()), key=math.prod)
    size = at_once.pictures(shape, BATCH)
    starts = range(0, len(data.test), size)
    parts = [predict({name: values[i : i + size] for name, values in inputs.items()}) for i in starts]
    answers = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for name, values in answers.items():
        if not np.isfinite(values).all():
            first = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))[0])
            raise ValueError(f"output {name!r} is not finite on test example {data.test.ids[first]!r}")
    return answers


def inputs(data: PreparedData, split: str, start: int, count: int) -> Arrays:
    """Return ``count`` images of ``split`` from ``start`` on; after the last comes the first."""
    return {"image": cycled(getattr(data, split).images, start, count)}


def cycled(values: np.ndarray, start: int, count: int) -> np.ndarray:
    """Return ``count`` of ``values`` from ``start`` on; after the last comes the first."""
    return values[np.arange(start, start + count) % len(values)]


def holding(data: PreparedData) -> np.ndarray:
    """Return bool [N, 1 + K]: which test images hold an object of any class, and of each."""
    labels = data.test.box_labels
    of_class = [(labels == k).any(axis=1) for k in range(data.spec.num_classes)]
    return np.stack([(labels >= 0).any(axis=1), *of_class], axis=1)


def bits_per_dim(log_likelihood: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Return float64 [N], bits for each pixel's channel, from nats per image [N].

    The price of an image, were it coded by the model, spread over its numbers (Theis, van den Oord and
    Bethge, "A note on the evaluation of generative models", 2016, section 3.1).
    """
    return -log_likelihood.astype(np.float64) / (np.prod(spec.shape) * np.log(2))


def mean_by_class(values: np.ndarray, labels: np.ndarray, num_classes: int) -> list[float | None]:
    """Return the mean of ``values`` [N] in each class; None where a class has no example."""
    return [float(values[labels == k].mean()) if (labels == k).any() else None for k in range(num_classes)]


def ratio(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Return the mean of ``ours`` over that of ``theirs``, both [N] of the same examples, with its interval."""

    def divide(sums: np.ndarray, _: int) -> np.ndarray:
        # A test split of nothing but the mean image cannot be done better: 1 where both are without error.
        return np.divide(sums[:, 0], sums[:, 1], out=np.ones(len(sums)), where=sums[:, 1] > 0)

    terms = np.stack([ours, theirs], axis=1)
    total = terms.sum(axis=0, keepdims=True)
    return bootstrap.bca(
        float(divide(total, 0)[0]), bootstrap.resample(terms, divide), divide(total - terms, 0)
    )
