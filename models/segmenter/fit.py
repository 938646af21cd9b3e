"""Training of the segmenter: cross-entropy of every pixel, image and mask changed alike."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import UNCOUNTED, PreparedData
from models import ranks
from models.blocks import fine_tuning, loop
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.run import Run
from models.segmenter.network import Segmenter

CHUNK = 64


def fit(model: Segmenter, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on the masks of ``data.train``; ``data.validation`` chooses the best weights.

    Raises:
        UserError: the weights that it is to start from do not fit.
    """
    config = model.config
    fine_tuning.begin(model)

    def loss(network: nn.Module, x_bchw: Tensor, masks: Tensor) -> Tensor:
        # A mask moves as one more channel: every change takes pixels as they are, and zeros that come in are ground.
        changed = config.change(torch.cat([x_bchw, masks[:, None].float()], dim=1), run.generator)
        logits, masks = network(changed[:, :-1]), changed[:, -1]
        return Nats.of(logits, masks, config.label_smoothing).loss(config.class_weight)

    @torch.no_grad()
    def validate(network: nn.Module, split: Batches) -> dict[str, float]:
        parts = [Nats.of(network(unit(images)), masks) for images, masks in split.in_order(CHUNK)]
        whole = Nats(*(torch.stack(column).sum(dim=0) for column in zip(*parts, strict=True)))
        right = whole.right / whole.counted.clamp(min=1)
        return {"loss": float(whole.loss(config.class_weight)), "accuracy": float(right)}

    loop.train(model, data, run, config, loss=loss, validate=validate, tensors=("images", "masks"))


class Nats(NamedTuple):
    """The cross-entropy of some pixels in its two parts, by the chain rule ``p(class) = p(object) p(class | object)``.

    Ground fills most of a scene. Were the mean taken of both parts together, it would drown what tells classes apart.

    Attributes:
        ground: sum over the counted pixels of ``-log p`` of being ground or an object, whichever is right.
        classes: sum over the pixels of objects of ``-log p(class | object)``.
        counted: how many pixels are counted.
        objects: how many of them are of objects.
        right: how many have the right answer.
    """

    ground: Tensor
    classes: Tensor
    counted: Tensor
    objects: Tensor
    right: Tensor

    @classmethod
    def of(cls, logits: Tensor, masks: Tensor, label_smoothing: float = 0.0) -> Nats:
        """Measure ``logits`` [N, 1 + K, H, W] on ``masks`` [N, H, W]: 0 the ground, k + 1 class k, 255 crowds.

        ``label_smoothing`` is the probability that is taken from the right class and spread over all.
        """
        logits, masks = logits.float(), masks.long()
        counted = masks != UNCOUNTED
        objects = counted & (masks > 0)
        fits = logits[:, 1:].logsumexp(dim=1) - logits[:, 0]
        ground = functional.binary_cross_entropy_with_logits(fits, objects.float(), reduction="none")
        wanted = torch.where(objects, masks - 1, 0)
        classes = functional.cross_entropy(
            logits[:, 1:], wanted, reduction="none", label_smoothing=label_smoothing
        )
        right = (logits.argmax(dim=1) == masks) & counted
        return cls(
            (ground * counted).sum(), (classes * objects).sum(), counted.sum(), objects.sum(), right.sum()
        )

    def loss(self, class_weight: float) -> Tensor:
        """Return the mean of the first part and, ``class_weight`` times, that of the second; 0 of no pixels."""
        ground = self.ground / ranks.evenly(self.counted, 1)
        return ground + class_weight * self.classes / ranks.evenly(self.objects, 1)
