"""Transcripts: between a text, its symbols and their indices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

END = -1
"""Fills a row of indices after the last symbol."""


def parts(text: str, separator: str) -> list[str]:
    """Return the symbols of ``text``: what stands between separators; each character where the separator is empty."""
    return text.split(separator) if separator else list(text)


def encode(transcripts: Sequence[Sequence[str]], symbols: Sequence[str], longest: int) -> np.ndarray:
    """Return int64 [N, longest]: of each transcript its symbols' indices in ``symbols``, then :data:`END`.

    Raises:
        KeyError: a transcript has another symbol.
    """
    indices = {symbol: index for index, symbol in enumerate(symbols)}
    rows = np.full((len(transcripts), longest), END, np.int64)
    for row, transcript in zip(rows, transcripts, strict=True):
        row[: len(transcript)] = [indices[symbol] for symbol in transcript]
    return rows


def spell(rows: Iterable[np.ndarray], symbols: Sequence[str], separator: str) -> list[str]:
    """Return the texts that rows of indices stand for, the inverse of :func:`parts` and :func:`encode`."""
    return [separator.join(symbols[index] for index in row if index != END) for row in rows]


def lengths(rows: np.ndarray) -> np.ndarray:
    """Return int64 [N]: how many symbols are in each of ``rows`` [N, L]."""
    return (rows != END).sum(axis=1)
