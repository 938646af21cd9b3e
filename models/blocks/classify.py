"""What gradient-trained classifiers share: how they are validated."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.blocks.batches import Batches
from models.blocks.pixels import unit

CHUNK = 512


@torch.no_grad()
def validate(network: nn.Module, split: Batches) -> dict[str, float]:
    """Return mean cross-entropy (``loss``, nats) and ``accuracy`` of the logits ``network(x_bchw)`` on ``split``."""
    loss = torch.zeros((), dtype=torch.float64, device=split.device)
    right = torch.zeros((), dtype=torch.int64, device=split.device)
    for images, labels in split.read(torch.arange(len(split)), CHUNK):
        logits = network(unit(images)).float()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
        right += (logits.argmax(dim=-1) == labels).sum()
    return {"loss": float(loss) / len(split), "accuracy": float(right) / len(split)}
