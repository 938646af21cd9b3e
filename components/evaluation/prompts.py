"""Prompts: between the captions of prepared data, texts, and the tokens that stand for texts in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from components.bundles.signature import Arrays, Tensor
from components.metrics import nearest
from data import captions
from data.prepared import DataSpec, PreparedData

SHOWN = 4
"""Captions are shown with images of several seeds and with where each word looks."""


def shown(data: PreparedData) -> np.ndarray:
    """Return those captions of the test split, int64 [at most 4, L]."""
    return nearest.evenly(data.test.captions, SHOWN)


def spelled(rows: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Return the texts [N] of captions int64 [N, L], as an array of objects."""
    return np.array(captions.spell(rows, spec.words), dtype=object)


def tokens(inputs: Mapping[str, np.ndarray], spec: DataSpec) -> Arrays:
    """Return ``inputs`` with the tokens int64 [N, L] of its texts in their place.

    A text is taken apart at blanks and nowhere else, as the exported graph does it.
    """
    return {
        name: _encoded(values, spec) if values.dtype == object else values for name, values in inputs.items()
    }


def signature(inputs: Iterable[Tensor], spec: DataSpec) -> list[Tensor]:
    """Return the tensors that PyTorch takes for these inputs of the exported graph."""
    return [
        Tensor(tensor.name, "int64", (*tensor.shape, spec.longest_caption))
        if tensor.dtype == "string"
        else tensor
        for tensor in inputs
    ]


def _encoded(texts: np.ndarray, spec: DataSpec) -> np.ndarray:
    taken_apart = [[word for word in text.split(" ") if word] for text in texts]
    return captions.encode(taken_apart, spec.words, spec.longest_caption)
