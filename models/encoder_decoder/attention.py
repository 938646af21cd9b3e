"""How well each column fits what is being written: additive and dot-product scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.blocks import attention


class Additive(nn.Module):
    """``score(s, h) = v . tanh(W s + U h)`` (Bahdanau, Cho & Bengio 2015, section A.1.2)."""

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(memory_width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """Return ``U h`` [N, T, width] of a memory [N, T, memory_width]: the same at every step."""
        return self.key(memory)

    def forward(self, states: Tensor, keys: Tensor) -> Tensor:
        """Return weights [N, B, T], each row summing to 1, for states [N, B, width] and keys [N, T, width]."""
        fits = torch.tanh(self.query(states)[:, :, None] + keys[:, None])
        return self.score(fits).squeeze(-1).softmax(dim=-1)


class Dot(nn.Module):
    """``score(s, h) = s . W h / sqrt(width)`` (Luong, Pham & Manning 2015, equation 8, "general"), scaled."""

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory_width, width, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """Return ``W h`` [N, T, width] of a memory [N, T, memory_width]: the same at every step."""
        return self.key(memory)

    def forward(self, states: Tensor, keys: Tensor) -> Tensor:
        """Return weights [N, B, T], each row summing to 1, for states [N, B, width] and keys [N, T, width]."""
        return attention.weights(states, keys)


SCORES = {"additive": Additive, "dot": Dot}
