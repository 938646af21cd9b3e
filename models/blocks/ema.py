"""Exponential moving average of a model's weights (Polyak & Juditsky 1992)."""

from __future__ import annotations

import copy

import torch
from torch import nn


class EMA:
    """Keeps ``average``, a copy of a model whose weights trail it: ``average += (1 - decay) * (model - average)``.

    Early on the decay is at most ``(1 + t) / (10 + t)``, so that the random initial weights are soon forgotten.
    Floating-point buffers (batch norm statistics) are averaged too; integer ones are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.average = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards ``model``."""
        self.updates += 1
        weight = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages, values = list(self.average.state_dict().values()), list(model.state_dict().values())
        floating = [pair for pair in zip(averages, values, strict=True) if pair[0].is_floating_point()]
        torch._foreach_lerp_([pair[0] for pair in floating], [pair[1] for pair in floating], weight)
        for average, value in zip(averages, values, strict=True):
            if not average.is_floating_point():
                average.copy_(value)

    def state_dict(self) -> dict:
        """Return what :meth:`load_state_dict` needs to go on exactly."""
        return {"updates": self.updates, "average": self.average.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from ``state``."""
        self.updates = state["updates"]
        self.average.load_state_dict(state["average"])
