"""Random numbers that are the same bits in PyTorch and in an exported ONNX graph.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a counter into four random
32-bit words. The counter here is (word number, image number, stream), the key is the seed: image ``i`` of a seed
does not depend on how many images are asked for. Everything is int64 arithmetic that never overflows, because
ONNX has no unsigned 32-bit multiplication; and it shifts, because an exported integer ``torch.div`` goes through
float32. A shift becomes eight ONNX nodes, so there is one in a round: the time to export follows the nodes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

WORD = 0xFFFFFFFF
ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85


def as_size(count: Tensor) -> int:
    """Return the number in ``count``, int64 [1], as a length of a tensor; it stays free in an exported graph."""
    number = count[0].item()
    if torch.compiler.is_exporting():
        torch._check(
            number > 0
        )  # layers ask whether they have anything to do; the graph takes 0 all the same
    return number


def philox(even: Tensor, odd: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Return random 32-bit words, int64: the even ones [2, ...] and the odd ones [2, ...] of each four.

    Args:
        even: words 0 and 2 of the counter, int64 [2, ...] in ``[0, 2**32)``.
        odd: words 1 and 3, as above; the two broadcast together.
        key: int64 [2], in the same range.
    """
    lanes = (2,) + (1,) * (even.ndim - 1)
    swapped = torch.tensor(MULTIPLIERS[::-1], device=key.device).view(lanes)
    weyl = torch.tensor(WEYL, device=key.device) * torch.arange(ROUNDS, device=key.device)[:, None]
    keys = (key + weyl) & WORD
    for round_key in keys.view(ROUNDS, *lanes).unbind():
        high, low = _multiply(even.flip(0), swapped)
        even, odd = high ^ odd ^ round_key, low
    return even, odd


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
    image = torch.arange(count, device=seed.device)[None, :, None] + first
    block = torch.arange(blocks, device=seed.device)[None, None, :]
    even = torch.cat([block, torch.full_like(block, stream)])
    odd = torch.cat([image, torch.zeros_like(image)])
    key = torch.cat([seed & WORD, (seed >> 32) & WORD])
    four = torch.stack(philox(even, odd, key), dim=-1)  # [2, count, blocks, 2]
    return four.permute(1, 2, 0, 3).reshape(-1, 4 * blocks)[:, :size]


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


def _multiply(word: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Return the high and low 32 bits of 32 x 32 bit products, ``factor`` at least ``2**31``.

    ``word * factor = word * 2**32 - rest``, where the rest and what is added to it stay below ``2**63``.
    """
    rest = word * (2**32 - factor)
    return word - ((rest + WORD) >> 32), -rest & WORD


def _quantiles() -> Tensor:
    """Return float32 [65536]: normal quantiles at the middles of equally probable cells, scaled to variance 1."""
    middles = (torch.arange(65536, dtype=torch.float64) + 0.5) / 65536
    quantiles = torch.special.ndtri(middles)
    return (quantiles / quantiles.square().mean().sqrt()).float()


_QUANTILES = _quantiles()
