"""Dropout (Srivastava et al. 2014) that draws 16 bits a number, where PyTorch's draws a double on a CPU.

A third of a small transformer's training step went into those draws.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

RANGE = 2**16
LEAST = -(2**15)


class Dropout(nn.Module):
    """Zero each number with probability ``p`` while training, and scale the others so that the mean stays.

    On a CPU ``p`` is taken to the nearest multiple of ``2**-16``.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to itself."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.p)
        kept = round((1 - self.p) * RANGE)
        mask = (_words(x.shape) < LEAST + kept).to(x.dtype)
        return x * mask.mul_(RANGE / kept)


def _words(shape: torch.Size) -> Tensor:
    """Return random int16 of ``shape``, from PyTorch's own generator, four of each 64-bit draw."""
    size = shape.numel()
    draws = torch.empty(-(-size // 4), dtype=torch.int64).random_(-(2**63), None)
    return draws.view(torch.int16)[:size].view(shape)
