"""Captions: between a text, its words and their tokens, which is what text-to-image models read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unicodedata import category

import numpy as np

PADDING = 0
"""The token that fills a row after the last word."""

UNKNOWN = 1
"""The token of a word that no caption of the train split has."""

FIRST = 2
"""The token of the first known word; the others follow."""

_OF_WORDS = "LMN"
"""The categories of Unicode that words are made of: letters, the marks that belong to them, numbers."""


def words(text: str) -> list[str]:
    """Return the words of a text in lower case: what letters and digits are together, and nothing between them."""
    return "".join(c if category(c)[0] in _OF_WORDS else " " for c in text.lower()).split()


def encode(captions: Sequence[Sequence[str]], known: Sequence[str], longest: int) -> np.ndarray:
    """Return int64 [N, longest]: of each caption its words' tokens, then :data:`PADDING`.

    Args:
        captions: each caption's words; those beyond ``longest`` are left out.
        known: the words that have a token, in order.
        longest: tokens of a row.
    """
    tokens = {word: FIRST + index for index, word in enumerate(known)}
    rows = np.full((len(captions), longest), PADDING, np.int64)
    for row, caption in zip(rows, captions, strict=True):
        heard = [tokens.get(word, UNKNOWN) for word in caption[:longest]]
        row[: len(heard)] = heard
    return rows


def without(rows: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """Return captions int64 [N, L] without these tokens; the words behind them move up."""
    left = np.full_like(rows, PADDING)
    for there, row in zip(left, rows, strict=True):
        kept = row[~np.isin(row, (PADDING, *tokens))]
        there[: len(kept)] = kept
    return left


def spell(rows: Iterable[np.ndarray], known: Sequence[str]) -> list[str]:
    """Return the text of each row of tokens, words with a blank between them; unknown ones are left out."""
    return [" ".join(known[token - FIRST] for token in row if token >= FIRST) for row in rows]
