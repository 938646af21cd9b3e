"""Training of the segmenter: cross-entropy of every pixel, image and mask changed alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import UNCOUNTED, PreparedData
from models.blocks import loop
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.run import Run
from models.segmenter.network import Segmenter

CHUNK = 64


def fit(model: Segmenter, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on the masks of ``data.train``; ``data.validation`` chooses the best weights."""
    config = model.config

    def loss(network: nn.Module, x_bchw: Tensor, masks: Tensor) -> Tensor:
        # A mask moves as one more channel: every change takes pixels as they are, and zeros that come in are ground.
        changed = config.change(torch.cat([x_bchw, masks[:, None].float()], dim=1), run.generator)
        return cross_entropy(network(changed[:, :-1]), changed[:, -1], config.label_smoothing)

    loop.train(model, data, run, config, loss=loss, validate=validate, tensors=("images", "masks"))


def cross_entropy(logits: Tensor, masks: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean over all pixels that are counted, in nats.

    Args:
        logits: [N, 1 + K, H, W].
        masks: [N, H, W], 0 the ground, k + 1 class k, :data:`data.prepared.UNCOUNTED` what is not counted.
        label_smoothing: probability taken from the right value and spread over all.
    """
    counted = masks != UNCOUNTED
    wanted = torch.where(counted, masks, 0).long()
    of_pixels = functional.cross_entropy(
        logits.float(), wanted, reduction="none", label_smoothing=label_smoothing
    )
    # Not by ``ignore_index``: of a batch that holds nothing to count it would be the mean, NaN.
    return (of_pixels * counted).sum() / counted.sum().clamp(min=1)


@torch.no_grad()
def validate(network: nn.Module, split: Batches) -> dict[str, float]:
    """Return ``loss``, an image's mean cross-entropy in nats a pixel, and ``accuracy``, the share of right pixels."""
    loss = torch.zeros((), dtype=torch.float64, device=split.device)
    right, counted = (torch.zeros((), dtype=torch.int64, device=split.device) for _ in range(2))
    for images, masks in split.read(torch.arange(len(split)), CHUNK):
        logits = network(unit(images))
        loss += cross_entropy(logits, masks) * len(images)
        right += (logits.argmax(dim=1) == masks).sum()
        counted += (masks != UNCOUNTED).sum()
    return {"loss": float(loss) / len(split), "accuracy": float(right / counted.clamp(min=1))}
