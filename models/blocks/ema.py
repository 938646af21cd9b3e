"""Exponential moving average of a model's weights (Polyak & Juditsky 1992)."""

from __future__ import annotations

import copy

import torch
from torch import nn


class EMA:
    """Keeps ``average``, a copy of ``model`` whose weights trail it: ``average += (1 - decay) * (model - average)``.

    Early on the decay is at most ``(1 + t) / (10 + t)``, so that the random initial weights are soon forgotten.
    Floating-point buffers (batch norm statistics) are averaged too; integer ones are copied. The model's tensors are
    looked up once, which for small models takes longer than averaging them: it must not be given others later on, by
    moving it to another device for one.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.average = copy.deepcopy(model).requires_grad_(False).eval()
        pairs = list(zip(self.average.state_dict().values(), model.state_dict().values(), strict=True))
        self._floating = [pair for pair in pairs if pair[0].is_floating_point()]
        self._whole = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the model."""
        self.updates += 1
        weight = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages, values = zip(*self._floating, strict=True)
        torch._foreach_lerp_(averages, values, weight)
        for average, value in self._whole:
            average.copy_(value)

    def state_dict(self) -> dict:
        """Return what :meth:`load_state_dict` needs to go on exactly."""
        return {"updates": self.updates, "average": self.average.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from ``state``."""
        self.updates = state["updates"]
        self.average.load_state_dict(state["average"])
