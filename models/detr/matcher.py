"""Which query answers for which object: the cheapest one-to-one assignment (DETR, section 3.1; Kuhn 1955)."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from models.detr import boxes
from models.detr.config import Config

ALPHA, GAMMA = 0.25, 2.0
"""Of the focal cost (Deformable DETR, appendix A.3)."""


@torch.no_grad()
def match(logits: Tensor, centre: Tensor, labels: Tensor, targets: Tensor, config: Config) -> Tensor:
    """Return int64 [B, M]: the query that answers for each object, -1 where there is no object or no query left.

    Args:
        logits: float [B, Q, K], or K + 1 where the last class is "no object".
        centre: centre boxes [B, Q, 4].
        labels: int64 [B, M], -1 where there is no object.
        targets: centre boxes of the objects [B, M, 4].
        config: the weights of the three costs, and which classification it is.
    """
    table = costs(logits, centre, labels, targets, config)
    # Diverged numbers are assigned last rather than refused: the loop stops at the loss, with a better message.
    table = torch.nan_to_num(table, nan=1e9, posinf=1e9, neginf=-1e9).cpu().numpy()
    present = (labels >= 0).cpu().numpy()
    found = torch.full(labels.shape, -1)
    for of_picture, there, row in zip(table, present, found.numpy(), strict=True):
        queries, objects = linear_sum_assignment(of_picture[:, there])
        row[there.nonzero()[0][objects]] = queries
    return found.to(labels.device)


def costs(logits: Tensor, centre: Tensor, labels: Tensor, targets: Tensor, config: Config) -> Tensor:
    """Return float [B, Q, M]: what it costs that a query answers for an object; arguments as of :func:`match`."""
    wanted = labels.clamp(min=0)[:, None].expand(-1, logits.shape[1], -1)
    if config.classification == "cross_entropy":
        kind = -logits.softmax(dim=-1).gather(2, wanted)
    else:
        p = logits.sigmoid().gather(2, wanted)
        kind = ALPHA * (1 - p) ** GAMMA * -(p + 1e-8).log() - (1 - ALPHA) * p**GAMMA * -(1 - p + 1e-8).log()
    distance = (centre[:, :, None] - targets[:, None]).abs().sum(dim=-1)
    _, giou = boxes.overlap(boxes.to_corners(centre)[:, :, None], boxes.to_corners(targets)[:, None])
    return config.class_cost * kind + config.l1_cost * distance - config.giou_cost * giou
