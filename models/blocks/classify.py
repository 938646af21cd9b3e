"""What gradient-trained classifiers share: how they are trained and validated."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import loop
from models.blocks.augment import Augmented
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.run import Run

CHUNK = 512

Criterion = Callable[[Tensor, Tensor], Tensor]
"""(logits float32 [N, K], labels int64 [N]) -> scalar."""


def train(
    network: nn.Module,
    data: PreparedData,
    run: Run,
    config: Augmented,
    criterion: Criterion = functional.cross_entropy,
    recipe: loop.Recipe | None = None,
) -> None:
    """Train ``network`` in place on ``data.train``, changed as ``config`` says; ``data.validation`` chooses weights.

    The recipe is ``config``'s own unless another is given.
    """

    def loss(network: nn.Module, x_bchw: Tensor, labels: Tensor) -> Tensor:
        return criterion(network(x_bchw).float(), labels)

    loop.train(network, data, run, recipe or config, loss=loss, validate=validate, augment=config.change)


@torch.no_grad()
def validate(network: nn.Module, split: Batches) -> dict[str, float]:
    """Return mean cross-entropy (``loss``, nats) and ``accuracy`` of the logits ``network(x_bchw)`` on ``split``."""
    loss = torch.zeros((), dtype=torch.float64, device=split.device)
    right = torch.zeros((), dtype=torch.int64, device=split.device)
    for images, labels in split.in_order(CHUNK):
        logits = network(unit(images)).float()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
        right += (logits.argmax(dim=-1) == labels).sum()
    return {"loss": float(loss) / len(split), "accuracy": float(right) / len(split)}
