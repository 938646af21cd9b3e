"""A 64-bit hash that near duplicates share: the signs of an image's lowest frequencies.

The image is averaged over a 32 x 32 grid of equal areas, and of its discrete cosine transform the 8 x 8
lowest frequencies are compared with their median (the idea is "pHash": Zauner, Implementation and
Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1). All arithmetic is on whole numbers, so
a hash is the same on every machine, and the same after any scaling of the grey values (a x + b, a > 0) or
enlargement by whole pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np

GRID = 32
FREQUENCIES = 8
MAX_SIDE = 1024
"""Up to this side all sums stay below 2**53, where float64 (and so a fast matrix product) is exact."""

_COSINE_SCALE = 127
_PART = 1 << 20
_FEW = 7


def perceptual_hash(images_nhw: np.ndarray) -> np.ndarray:
    """Hash grey images.

    Args:
        images_nhw: uint8 [N, H, W], sides at most ``MAX_SIDE``.

    Returns:
        uint64 [N]. The highest bit (the mean, which says nothing of the content) is 0; a flat image has hash
        0.
    """
    _, height, width = images_nhw.shape
    if max(height, width) > MAX_SIDE:
        raise ValueError(f"images of {height} x {width}: at most {MAX_SIDE} a side")
    spectrum = _frequencies(height) @ images_nhw.astype(np.float64) @ _frequencies(width).T
    coefficients = spectrum.reshape(len(images_nhw), FREQUENCIES**2)[:, 1:]
    bits = coefficients > np.median(coefficients, axis=1, keepdims=True)
    bits = np.concatenate([np.zeros((len(bits), 1), bool), bits], axis=1)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def to_hex(hashes: np.ndarray) -> list[str]:
    """Return each uint64 hash as 16 hexadecimal digits."""
    return [f"{value:016x}" for value in hashes.tolist()]


def from_hex(texts: list[str]) -> np.ndarray:
    """Return uint64 hashes from their hexadecimal digits."""
    return np.array([int(text, 16) for text in texts], dtype=np.uint64)


def near_pairs(left: np.ndarray, right: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Find all pairs of hashes that differ in at most ``distance`` bits.

    Hashes that differ in so few bits are the same in one at least of ``distance + 1`` bands of bits (Norouzi, Punjani
    and Fleet, Fast Search in Hamming Space with Multi-Index Hashing, 2012), so only those are compared that share a
    band. Beyond 8 bands they are too short to tell hashes apart, and everything is compared with everything.

    Args:
        left: uint64 [N].
        right: uint64 [M].
        distance: the greatest number of bits that differ, below 64.

    Returns:
        Indices into ``left`` and into ``right``, int64, one entry per pair, in ascending order.
    """
    edges = np.linspace(0, 64, distance + 2).astype(int).tolist()
    bands = [((1 << (stop - first)) - 1) << first for first, stop in pairwise(edges)]
    found = [np.empty((2, 0), np.int64)]
    for mask in map(np.uint64, bands if distance <= _FEW else [0]):
        for i, j in _equal(left & mask, right & mask):
            near = np.bitwise_count(left[i] ^ right[j]) <= distance
            found.append(np.stack([i[near], j[near]]))
    i, j = np.concatenate(found, axis=1)
    return np.divmod(np.unique(i * max(1, len(right)) + j), max(1, len(right)))


def _equal(left: np.ndarray, right: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of equal values as indices, a part at a time."""
    order = np.argsort(right, kind="stable")
    start = np.searchsorted(right, left, "left", sorter=order)
    count = np.searchsorted(right, left, "right", sorter=order) - start
    rows = np.flatnonzero(count)
    ends = np.cumsum(count[rows])
    begin = 0
    while begin < len(rows):
        done = int(ends[begin - 1]) if begin else 0
        stop = max(begin + 1, int(np.searchsorted(ends, done + _PART, "right")))
        part = rows[begin:stop]
        i = np.repeat(part, count[part])
        # The place within its run of equal values, of each pair.
        within = np.arange(len(i)) - np.repeat(ends[begin:stop] - count[part] - done, count[part])
        yield i, order[np.repeat(start[part], count[part]) + within]
        begin = stop


@lru_cache(maxsize=256)
def _frequencies(side: int) -> np.ndarray:
    """Return whole numbers [8, side] that take ``side`` pixels to the lowest frequencies of the grid."""
    position = np.arange(GRID)
    angle = np.pi / (2 * GRID) * np.outer(np.arange(FREQUENCIES), 2 * position + 1)
    # Pixels are GRID units long and cells are `side` units, so that overlaps are whole numbers.
    start = np.maximum(position[:, None] * side, np.arange(side) * GRID)
    end = np.minimum((position[:, None] + 1) * side, (np.arange(side) + 1) * GRID)
    return np.rint(_COSINE_SCALE * np.cos(angle)) @ np.maximum(end - start, 0)
