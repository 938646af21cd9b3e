"""Fine-tuning on the few pictures of somebody new (Zakharov et al. 2019, section 3.3)."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.blocks.pixels import unit
from models.head.network import HeadModel, to_image


class Personal(nn.Module):
    """A painter of one person: landmarks float32 [N, L, 2] to uint8 [N, H, W, C]."""

    def __init__(self, painter: nn.Module, who: Tensor) -> None:
        super().__init__()
        self.painter, self.who = painter, nn.Parameter(who)

    def paint(self, landmarks: Tensor) -> Tensor:
        """Return faces [N, C, H, W] in [0, 1]."""
        return self.painter(landmarks, self.who.expand(len(landmarks), -1))

    def forward(self, landmarks: Tensor) -> Tensor:
        """Return the faces."""
        return to_image(self.paint(landmarks))


def personalise(model: HeadModel, landmarks: np.ndarray, shots_nhwc: np.ndarray) -> Personal:
    """Return a painter of the person on ``shots_nhwc``; ``model`` stays as it is.

    The embedding of the shots becomes a parameter, and with the painter's weights it is fitted to the shots by the L1
    distance. (The paper goes on with its discriminator too.) Nothing is drawn: the same shots give the same painter.

    Args:
        model: the trained head model.
        landmarks: of the shots, float32 [S, L, 2].
        shots_nhwc: uint8 [S, H, W, C].
    """
    config, device = model.config, next(model.parameters()).device
    points, images = torch.as_tensor(landmarks).to(device), unit(torch.as_tensor(shots_nhwc).to(device))
    with torch.no_grad():
        who = model.generator.embedder(images[None])
    personal = Personal(copy.deepcopy(model.generator.painter), who)
    optimizer = torch.optim.Adam(personal.parameters(), lr=config.personal_learning_rate, fused=True)
    with torch.enable_grad():
        for _ in range(config.personal_steps):
            optimizer.zero_grad(set_to_none=True)
            functional.l1_loss(personal.paint(points), images).backward()
            optimizer.step()
    return personal.eval()
