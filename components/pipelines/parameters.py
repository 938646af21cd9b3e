"""What people give beside pictures, checked against what a model knows."""

from __future__ import annotations

import numpy as np

from components.pipelines.postprocess import Description
from data import captions
from data.errors import UserError, nearest

EVERY = -1
"""The label that asks a generator for every class in turn."""


def seed(description: Description, value: int) -> np.ndarray:
    """Return a seed as graphs take it, int64 [1].

    Raises:
        UserError: it is not -2**63 to 2**63 - 1.
    """
    return np.array([_within(description, "seed", value, -(2**63), 2**63 - 1)], np.int64)


def count(description: Description, value: int) -> int:
    """Return how many images are asked for.

    Raises:
        UserError: it is not 1 to 2**31 - 1.
    """
    return _within(description, "count", value, 1, 2**31 - 1)


def known_words(description: Description, prompt: str | None) -> str:
    """Return the words of a prompt with a blank between them, which is how its graph takes them apart.

    Raises:
        UserError: the prompt is missing or too long, or has an unknown word.
    """
    name, known, longest = description["name"], description["words"], description["longest_caption"]
    if prompt is None:
        raise UserError(f"{name}: draws what a prompt says: give it one. Its words are: {', '.join(known)}.")
    words = captions.words(prompt)
    for word in words:
        if word not in known:
            raise UserError(
                f"{name}: the prompt has a word it does not know, {word!r}.{nearest(word, known)}"
            )
    if len(words) > longest:
        raise UserError(f"{name}: the prompt has {len(words)} words; it reads at most {longest}.")
    return " ".join(words)


def label(description: Description, value: str | None) -> np.ndarray:
    """Return the class of that name as graphs take it, int64 [1]; :data:`EVERY` class in turn for None.

    Raises:
        UserError: there is no such class.
    """
    classes = description["classes"]
    if value is None:
        return np.array([EVERY], np.int64)
    if value not in classes:
        raise UserError(f"{description['name']}: no class {value!r}.{nearest(value, classes)}")
    return np.array([classes.index(value)], np.int64)


def _within(description: Description, key: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise UserError(f"{description['name']}: {key} must be {least} to {most}, not {value}.")
    return value
