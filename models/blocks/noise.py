"""Random numbers that are the same bits in PyTorch and in an exported ONNX graph.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a counter into four random
32-bit words. The counter here is (word number, image number, stream), the key is the seed: image ``i`` of a seed
does not depend on how many images are asked for. Everything is int64 arithmetic that never overflows, because
ONNX has no unsigned 32-bit multiplication; and it shifts, because an exported integer ``torch.div`` goes through
float32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

WORD = 0xFFFFFFFF
ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Return four int64 tensors of random 32-bit words.

    Args:
        counter: four int64 tensors that broadcast together, each in ``[0, 2**32)``.
        key: two int64 tensors, in the same range.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        high0, low0 = _multiply(c0, MULTIPLIERS[0])
        high1, low1 = _multiply(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return c0, c1, c2, c3


def words(seed: Tensor, count: int, size: int, stream: int = 0, first: int = 0) -> Tensor:
    """Return int64 [count, size] of random 32-bit words.

    Args:
        seed: int64 [1], any value.
        count: how many images; may be symbolic while exporting.
        size: words an image.
        stream: tells apart the several draws of one model.
        first: number of the first image.
    """
    blocks = math.ceil(size / 4)
    image = torch.arange(count, device=seed.device)[:, None] + first
    block = torch.arange(blocks, device=seed.device)[None, :]
    zero = torch.zeros_like(block)
    key = seed & WORD, (seed >> 32) & WORD
    four = philox((block, image, zero + stream, zero), key)
    return torch.stack(torch.broadcast_tensors(*four), dim=-1).reshape(-1, 4 * blocks)[:, :size]


def uniform(seed: Tensor, count: int, size: int, stream: int = 0, first: int = 0) -> Tensor:
    """Return float32 [count, size], uniform on the multiples of ``2**-24`` in [0, 1); see :func:`words`."""
    return (words(seed, count, size, stream, first) >> 8).float() * 2.0**-24


def normal(seed: Tensor, count: int, size: int, stream: int = 0, first: int = 0) -> Tensor:
    """Return float32 [count, size], standard normal; see :func:`words`.

    The logarithm and cosine of the usual methods differ in the last bit between libraries. Here each half of a
    word looks up a quantile of the normal distribution, and the scaled sum of the two is as normal as they are:
    one addition and one multiplication, which IEEE 754 rounds alike everywhere.
    """
    table = _QUANTILES.to(seed.device)
    word = words(seed, count, size, stream, first)
    low, high = word & 0xFFFF, word >> 16
    return (table[low] + table[high]) * math.sqrt(0.5)


def _multiply(word: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Return the high and low 32 bits of a 32 x 32 bit product, by halves of 16 bits: nothing passes 2**63."""
    low = (word & 0xFFFF) * factor
    high = (word >> 16) * factor + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) + (low & 0xFFFF)


def _quantiles() -> Tensor:
    """Return float32 [65536]: normal quantiles at the middles of equally probable cells, scaled to variance 1."""
    middles = (torch.arange(65536, dtype=torch.float64) + 0.5) / 65536
    quantiles = torch.special.ndtri(middles)
    return (quantiles / quantiles.square().mean().sqrt()).float()


_QUANTILES = _quantiles()
