"""How many pictures are computed on at a time: of large ones fewer, so that the memory does not grow with their size.

It follows from the size alone, never from what memory is free: results must be the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

NUMBERS = 2**21
"""Of the pictures that are computed on together: 512 of 64 x 64 grey pixels, 13 of 224 x 224 in colour."""


def pictures(shape: Sequence[int], most: int, numbers: int = NUMBERS) -> int:
    """Return how many pictures of ``shape``, of ``numbers`` in all, are computed on together: 1 to ``most``."""
    return max(1, min(most, numbers // math.prod(shape)))
