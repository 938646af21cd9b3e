"""Denoising queries: objects' boxes, disturbed, whose objects the decoder is to find again (DN-DETR, Li et al. 2022).

They come beside the real queries in training alone, and are not matched: what they must find is known, so that the
decoder learns to correct boxes from the first step on, when the matching still jumps. Of each object there is a near
box, which must find it, and a far one, which must say "no object" (contrastive denoising, DINO, Zhang et al. 2023).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.blocks import draws

NEAR, FAR = 0.4, 0.8
"""Greatest moves of a near and of a far box, in half sides; a far box moves by more than a near one."""

MISNAMED = 0.25
"""How often a query is told another class than its object's."""


class Noised(NamedTuple):
    """Disturbed objects: P queries a picture.

    Attributes:
        anchors: centre boxes [N, P, 4].
        labels: int64 [N, P], the classes that the queries are told.
        queries: int64 [N, P / 2], for each object of each group the query that must find it, -1 where there is none.
        counted: bool [N, P], the queries that are of an object.
        hidden: bool [Q + P, Q + P], who must not look at whom, Q real queries first.
    """

    anchors: Tensor
    labels: Tensor
    queries: Tensor
    counted: Tensor
    hidden: Tensor


def disturb(
    labels: Tensor,
    targets: Tensor,
    *,
    groups: int,
    num_classes: int,
    num_queries: int,
    generator: torch.Generator,
) -> Noised:
    """Draw ``groups`` near and far boxes of each object.

    Args:
        labels: int64 [N, M], -1 where there is no object.
        targets: centre boxes [N, M, 4].
        groups: queries of different groups do not see each other.
        num_classes: number of classes.
        num_queries: real queries, which do not see the disturbed ones.
        generator: of all draws.
    """
    num, objects = labels.shape
    device = labels.device
    shape = (num, groups, 2, objects)  # the second half of each group is far

    def uniform(*last: int) -> Tensor:
        return draws.rand(*shape, *last, generator=generator, device=device)

    sign = torch.where(uniform(4) < 0.5, -1.0, 1.0)
    reach = uniform(4)
    far = torch.arange(2, device=device)[:, None, None]
    by = sign * torch.where(far == 1, NEAR + (FAR - NEAR) * reach, NEAR * reach)
    whole = targets[:, None, None].expand(*shape, 4)
    half = whole[..., 2:] / 2
    corners = torch.cat([whole[..., :2] - half, whole[..., :2] + half], dim=-1) + by * half.repeat(
        1, 1, 1, 1, 2
    )
    corners = corners.clamp(0, 1)
    size = (corners[..., 2:] - corners[..., :2]).clamp(min=0.01)
    anchors = torch.cat([corners[..., :2] + size / 2, size], dim=-1)
    told = labels[:, None, None].expand(shape)
    other = (uniform() * num_classes).long()
    told = torch.where(uniform() < MISNAMED, other, told).clamp(min=0)
    there = (labels >= 0)[:, None, None].expand(shape)
    place = torch.arange(groups * 2 * objects, device=device)
    near = place.reshape(groups, 2, objects)[:, 0].expand(num, -1, -1)
    queries = torch.where(there[:, :, 0], near, -1)
    group = torch.cat([torch.full((num_queries,), -1, device=device), place // (2 * objects)])
    # A real query (-1) sees real ones alone, a disturbed one its own group and the real ones.
    hidden = (group[None, :] >= 0) & (group[:, None] != group[None, :])
    return Noised(anchors.flatten(1, 3), told.flatten(1), queries.flatten(1), there.flatten(1), hidden)
