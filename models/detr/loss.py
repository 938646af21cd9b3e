"""The set loss (DETR, section 3.1): right classes, and boxes near by L1 distance and generalised IoU.

Three classifications: the paper's cross-entropy with a class for "no object"; the focal loss (Lin et al. 2017) of
Deformable DETR; the varifocal loss (Zhang et al. 2021) of RT-DETR, whose aim is the IoU, so that scores rank boxes
by how good they are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from models import ranks
from models.detr import boxes
from models.detr.config import Config
from models.detr.matcher import match

ALPHA, GAMMA = 0.25, 2.0
VARIFOCAL_ALPHA = 0.75


class Losses(NamedTuple):
    """The three parts, unweighted scalars: the classes', the L1 distance's, the generalised IoU's."""

    kind: Tensor
    l1: Tensor
    giou: Tensor

    def total(self, config: Config) -> Tensor:
        """Return the weighted sum."""
        return config.class_weight * self.kind + config.l1_weight * self.l1 + config.giou_weight * self.giou


def set_loss(logits: Tensor, centre: Tensor, labels: Tensor, targets: Tensor, config: Config) -> Losses:
    """Match, then measure each of several layers' answers, and sum over the layers (auxiliary losses, section 3.2).

    Args:
        logits: float [L, B, Q, K], or K + 1 where the last class is "no object".
        centre: centre boxes [L, B, Q, 4].
        labels: int64 [B, M], -1 where there is no object.
        targets: centre boxes [B, M, 4].
        config: weights, and which classification it is.
    """
    layers = len(logits)
    flat = logits.flatten(0, 1), centre.flatten(0, 1), labels.repeat(layers, 1), targets.repeat(layers, 1, 1)
    return matched_loss(*flat, match(*flat, config), config, layers=layers)


def matched_loss(
    logits: Tensor,
    centre: Tensor,
    labels: Tensor,
    targets: Tensor,
    queries: Tensor,
    config: Config,
    *,
    layers: int = 1,
    counted: Tensor | None = None,
) -> Losses:
    """Return the losses of answers whose queries are known, summed over ``layers`` that lie behind each other in B.

    Args:
        logits: float [B, Q, K] or K + 1.
        centre: centre boxes [B, Q, 4].
        labels: int64 [B, M], -1 where there is no object.
        targets: centre boxes [B, M, 4].
        queries: int64 [B, M], as :func:`models.detr.matcher.match` gives it.
        config: which classification it is.
        layers: of how many layers B is made; the number of objects is that of one.
        counted: bool [B, Q], queries whose classes count; all when None.
    """
    there = queries >= 0
    picture, of_object = there.nonzero(as_tuple=True)
    place = queries[picture, of_object]
    kinds, ours, theirs = labels[picture, of_object], centre[picture, place], targets[picture, of_object]
    objects = ranks.evenly(there.sum() / layers, 1)
    iou, giou = boxes.overlap(boxes.to_corners(ours), boxes.to_corners(theirs))
    l1, giou = (ours - theirs).abs().sum() / objects, (1 - giou).sum() / objects
    if config.classification == "cross_entropy":
        aims = torch.full(logits.shape[:2], logits.shape[2] - 1, device=logits.device)
        aims[picture, place] = kinds
        rarely = torch.where(aims == logits.shape[2] - 1, config.no_object_weight, 1.0)
        rarely = rarely if counted is None else rarely * counted
        nats = functional.cross_entropy(logits.transpose(1, 2), aims, reduction="none") * rarely
        weights = ranks.evenly(rarely.reshape(layers, -1).sum(dim=1), 1e-9)
        return Losses((nats.reshape(layers, -1).sum(dim=1) / weights).sum(), l1, giou)
    aims = torch.zeros_like(logits)
    aims[picture, place, kinds] = 1.0 if config.classification == "focal" else iou.detach().to(logits.dtype)
    measure = _focal if config.classification == "focal" else _varifocal
    each = measure(logits, aims)
    each = each if counted is None else each * counted[..., None]
    return Losses(each.sum() / objects, l1, giou)


def _focal(logits: Tensor, aims: Tensor) -> Tensor:
    """Return the focal loss of each number, aims 0 or 1 (Lin et al. 2017, equation 5)."""
    p = logits.sigmoid()
    nats = functional.binary_cross_entropy_with_logits(logits, aims, reduction="none")
    off = p + aims - 2 * p * aims  # 1 - p where the aim is 1, else p
    return (1 - ALPHA + (2 * ALPHA - 1) * aims) * off**GAMMA * nats


def _varifocal(logits: Tensor, aims: Tensor) -> Tensor:
    """Return the varifocal loss of each number, aims an IoU, or 0 (Zhang et al. 2021, equation 2)."""
    p = logits.detach().sigmoid()
    weight = torch.where(aims > 0, aims, VARIFOCAL_ALPHA * p**GAMMA)
    return functional.binary_cross_entropy_with_logits(logits, aims, weight, reduction="none")
