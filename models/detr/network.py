"""The network: backbone, encoder, queries, decoder (DETR, Carion et al. 2020, figure 2)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks.encoder import Encoder
from models.blocks.fine_tuning import Transferable, is_part
from models.blocks.pixels import Standardise
from models.detr import boxes, position_encoding
from models.detr.backbone import Backbone
from models.detr.config import Config
from models.detr.decoder import Decoder
from models.detr.denoising import Noised

PRIOR = 0.02
"""Score of every class at the start, where most queries have no object (Lin et al. 2017, section 4.1)."""

LEAST_CELLS, MOST_CELLS = 16, 400
"""Each cell looks at each other, and may be a query: more of them cost more than they bring."""

FIRST_SIZE = 0.25
"""Sides of the boxes at the start, as shares of the picture's."""


class Answers(NamedTuple):
    """Of each layer: logits float [L, N, Q, outputs] and centre boxes float [L, N, Q, 4]."""

    logits: Tensor
    boxes: Tensor


class Seen(NamedTuple):
    """What a picture's queries start from.

    Attributes:
        memory: the picture's cells [N, S, width].
        grid: rows and columns of cells, S in all.
        content: the queries [N, Q, width].
        anchors: their first boxes, centre [N, Q, 4].
        cells: what the encoder answers in each cell, as one layer of S queries; None where queries are learned.
    """

    memory: Tensor
    grid: tuple[int, int]
    content: Tensor
    anchors: Tensor
    cells: Answers | None


class Detr(Transferable):
    """Pictures [N, C, H, W] in [0, 1] to a class and a box of each query."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.num_classes, self.fit = config, spec.num_classes, spec.fit
        self.chosen = config.queries_per_object and config.queries_per_object * spec.max_objects
        outputs = spec.num_classes + (config.classification == "cross_entropy")
        width = config.width
        self.standardise = Standardise(spec)
        widths = _stages(config.backbone, spec)
        self.backbone = Backbone(spec.channels, widths, config.backbone_depth)
        self.project = nn.Conv2d(widths[-1], width, 1)
        self.encoder = Encoder(width, config.heads, config.hidden, config.encoder_depth, config.dropout)
        self.decoder = Decoder(
            width, config.heads, config.hidden, config.decoder_depth, config.dropout, outputs, config.spot
        )
        if config.queries == "cells":
            self.classify = nn.Linear(width, outputs)
            self.box = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 4))
            nn.init.zeros_(self.box[-1].weight)
            nn.init.zeros_(self.box[-1].bias)
        else:
            self.content = nn.Parameter(torch.randn(config.queries, width))
            self.anchors = nn.Parameter(_scattered(config.queries))
        if config.denoising:
            self.told = nn.Embedding(spec.num_classes, width)
        if config.classification != "cross_entropy":
            for head in (self.decoder.classify, *([self.classify] if config.queries == "cells" else [])):
                nn.init.constant_(head.bias, float(boxes.logit(torch.tensor(PRIOR, device="cpu"))))

    def see(self, x_bchw: Tensor) -> Seen:
        """Read pictures [N, C, H, W] and give the queries what they start from."""
        features = self.project(self.backbone(self.standardise(x_bchw)))
        height, width = features.shape[2:]
        points = position_encoding.cells(height, width, features.device)
        where = position_encoding.of_points(points, self.config.width)
        memory = self.encoder(features.flatten(2).transpose(1, 2) + where)
        if self.config.queries == "cells":
            first = torch.cat([points, torch.full_like(points, FIRST_SIZE)], dim=-1)
            anchors = torch.sigmoid(boxes.logit(first) + self.box(memory))
            logits = self.classify(memory)
            content, first = self._surest(logits, memory, anchors)
            return Seen(memory + where, (height, width), content, first, Answers(logits[None], anchors[None]))
        num = memory.shape[0]
        content, anchors = self.content.expand(num, -1, -1), self.anchors.sigmoid().expand(num, -1, -1)
        return Seen(memory + where, (height, width), content, anchors, None)

    def decode(self, seen: Seen, noised: Noised | None = None) -> Answers:
        """Let the queries, and disturbed ones behind them, look at the picture; every decoder layer answers."""
        content, anchors, hidden = seen.content, seen.anchors.detach(), None
        if self.config.queries != "cells":
            anchors = seen.anchors  # learned: they need the gradient
        if noised is not None:
            content = torch.cat([content, self.told(noised.labels)], dim=1)
            anchors, hidden = torch.cat([anchors, noised.anchors], dim=1), noised.hidden
        return Answers(*self.decoder(content, anchors, seen.memory, seen.grid, hidden))

    def forward(self, x_bchw: Tensor) -> Answers:
        """Return what the last layer answers, without the axis of layers: [N, Q, outputs] and [N, Q, 4]."""
        answers = self.decode(self.see(x_bchw))
        return Answers(answers.logits[-1], answers.boxes[-1])

    def is_kept(self, name: str) -> bool:
        """Say whether ``name`` is of the convolutional backbone."""
        return is_part(name, ("backbone",))

    def _surest(self, logits: Tensor, content: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Return content and anchors of the cells where an object is most probable, in the order of the cells."""
        if self.chosen is None or self.chosen >= logits.shape[1]:
            return content, anchors
        likely = logits[..., : self.num_classes].amax(dim=-1)
        if self.config.classification == "cross_entropy":
            likely = likely - logits[..., -1]
        # In the cells' order, so that two that are as likely do not change places by a rounding.
        places = likely.topk(self.chosen, dim=1).indices.sort(dim=1).values[..., None]
        return tuple(x.gather(1, places.expand(-1, -1, x.shape[-1])) for x in (content, anchors))


def _stages(widths: tuple[int, ...], spec: DataSpec) -> tuple[int, ...]:
    """Return the widths: fewer where there would be too few cells, the last one again where there would be too many.

    Twice as many cells as a picture has objects are the least, so that each object finds a query near it.
    """
    least = max(LEAST_CELLS, 2 * spec.max_objects)

    def cells(stages: int) -> int:
        return math.ceil(spec.height / 2**stages) * math.ceil(spec.width / 2**stages)

    while len(widths) > 1 and cells(len(widths)) < least:
        widths = widths[:-1]
    while cells(len(widths)) > MOST_CELLS and cells(len(widths) + 1) >= least:
        widths = (*widths, widths[-1])
    return widths


def _scattered(queries: int) -> Tensor:
    """Return logits of centre boxes [queries, 4], evenly over the picture."""
    side = math.ceil(math.sqrt(queries))
    middles = position_encoding.cells(side, side)[:queries]
    return boxes.logit(torch.cat([middles, torch.full_like(middles, FIRST_SIZE)], dim=-1))
