"""How far what was written is from what should be: edits from one text to the other (Levenshtein 1966)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def distances(written: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]) -> np.ndarray:
    """Return int64 [N]: of each pair the fewest symbols to put in, take out or change."""
    return np.array([_table(a, b)[-1][-1] for a, b in zip(written, texts, strict=True)], dtype=np.int64)


def substitutions(written: Sequence[int], text: Sequence[int]) -> list[tuple[int, int]]:
    """Return the pairs (right, written) of symbols that lie on each other in a shortest chain of edits, in order.

    Where several chains are the shortest, one that changes symbols is taken before one that puts in or takes out.
    """
    table = _table(written, text)
    pairs, i, j = [], len(written), len(text)
    while i and j:
        here, changed = table[i][j], table[i - 1][j - 1]
        if here == changed + (written[i - 1] != text[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((text[j], written[i]))
        elif here == table[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _table(written: Sequence[int], text: Sequence[int]) -> list[list[int]]:
    """Return a row for each beginning of ``written``: edits to each beginning of ``text`` (Wagner & Fischer 1974)."""
    table = [list(range(len(text) + 1))]
    for i, a in enumerate(written, start=1):
        above, row = table[-1], [i]
        for j, b in enumerate(text, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
        table.append(row)
    return table
