"""Arrays of examples that are not in memory: indexed as NumPy's are, they give what was asked for as NumPy's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from data import memory
from data.errors import UserError

_WHOLE = 0.5
"""Share of the memory that there is which a whole array may take."""


class Rows:
    """An array [N, ...] of which rows are brought to memory when they are asked for.

    ``array[index]`` is a NumPy array in memory for a number, a slice, numbers or bools of rows; a tuple's other parts
    index within these rows. :func:`whole` is all of it, and so is what NumPy makes of it.

    Attributes:
        shape: as NumPy's.
        dtype: as NumPy's.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        """Begin; what inherits this gives rows by :meth:`_take`."""
        self.shape, self.dtype = shape, dtype

    def _take(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows int64 [n], all in [0, N), as [n, ...]."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes all of it takes in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    __array_ufunc__ = None  # arithmetic would bring all of it to memory unasked: NumPy refuses it

    def __eq__(self, other: object) -> bool:
        raise TypeError("rows on disk are not compared: take those that are meant, or whole(array)")

    __hash__ = object.__hash__

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        rows, *within = index if isinstance(index, tuple) else (index,)
        chosen = _chosen(rows, len(self))
        found = self._take(np.atleast_1d(chosen).ravel())
        found = found.reshape(*np.shape(chosen), *self.shape[1:])
        return found[(slice(None),) * np.ndim(chosen) + tuple(within)] if within else found

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        require_memory(self)
        return self[:].astype(dtype or self.dtype, copy=False)


def _chosen(index: Any, count: int) -> np.ndarray:
    """Return which of ``count`` rows ``index`` means, int64 of its shape."""
    if isinstance(index, slice):
        return np.arange(*index.indices(count))
    rows = np.asarray(index)
    if rows.dtype == bool:
        return np.arange(count)[rows]
    if rows.size and not -count <= rows.min() <= rows.max() < count:
        raise IndexError(f"rows {rows.min()} to {rows.max()} of {count}")
    return np.where(rows < 0, rows + count, rows).astype(np.int64)


Array = np.ndarray | Rows
"""What a split's tensors are: a map of a file, an array in memory, or rows that are brought there."""


class ShardedArray(Rows):
    """Arrays one after the other under one index; nothing of them is copied but the rows that are asked for."""

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        """Take arrays [n, ...] of one dtype and shape of rows."""
        self._parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in self._parts])
        super().__init__((int(self._ends[-1]), *self._parts[0].shape[1:]), self._parts[0].dtype)

    def _take(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        numbers = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(numbers):
            part, here = self._parts[number], numbers == number
            found[here] = part[rows[here] - (self._ends[number] - len(part))]
        return found


class PlacedArray(Rows):
    """Some rows of another array, in an order of their own."""

    def __init__(self, array: Array, places: np.ndarray) -> None:
        """Take the rows at ``places`` int64 [N] of ``array``."""
        super().__init__((len(places), *array.shape[1:]), array.dtype)
        self._array, self._places = array, places

    def _take(self, rows: np.ndarray) -> np.ndarray:
        return self._array[self._places[rows]]


def joined(parts: Sequence[np.ndarray]) -> Array:
    """Return one array of ``parts``: a single one as it is."""
    return parts[0] if len(parts) == 1 else ShardedArray(parts)


def whole(array: Array) -> np.ndarray:
    """Return all of ``array`` in memory, for what needs all examples at once.

    Raises:
        UserError: it takes more than half of the memory that the machine, or its container, has.
    """
    return np.asarray(array) if isinstance(array, Rows) else array


def require_memory(array: Rows) -> None:
    """Check that all of ``array`` may be brought to memory.

    Raises:
        UserError: it takes more than half of the memory that the machine, or its container, has.
    """
    there_is = memory.total()
    if array.nbytes > _WHOLE * there_is:
        raise UserError(
            f"{len(array):,} examples of {' x '.join(map(str, array.shape[1:]))} take {array.nbytes / 2**30:.1f} GiB,"
            f" and this process may have {there_is / 2**30:.1f} GiB. What is asked for needs all of them at once: make"
            " image.height and image.width of dataset.yaml smaller, or use a family that reads batches, as cnn"
            " and vit do."
        )
