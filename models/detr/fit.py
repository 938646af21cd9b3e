"""Training of DETR: the set loss of every layer, and of denoising queries."""

from __future__ import annotations

import torch
from torch import Tensor

from data.prepared import PreparedData
from models.blocks import fine_tuning, loop
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.detr import boxes
from models.detr.config import Config
from models.detr.denoising import disturb
from models.detr.loss import matched_loss, set_loss
from models.detr.network import Detr
from models.detr.rt_detr import RtDetr
from models.detr.zoom import relight, zoom
from models.run import Run

CHUNK = 256
TENSORS = ("images", "box_labels", "boxes")


def fit(model: Detr | RtDetr, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights.

    Raises:
        UserError: the weights that it is to start from do not fit.
    """
    fine_tuning.begin(model)

    def loss(model: Detr | RtDetr, x_bchw: Tensor, labels: Tensor, corners: Tensor) -> Tensor:
        x_bchw, labels, corners = augment(model.config, x_bchw, labels, corners, run.generator)
        return train_loss(model, x_bchw, labels, boxes.to_centre(corners), run.generator)

    loop.train(model, data, run, model.config, loss=loss, validate=validate, tensors=TENSORS)


def augment(
    config: Config, x_bchw: Tensor, labels: Tensor, corners: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return changed pictures [N, C, H, W], labels int64 [N, M] and corner boxes [N, M, 4]."""
    x_bchw, labels, corners = zoom(x_bchw, labels, corners, config.zoom, generator)
    return relight(x_bchw, config.relight, generator), labels, corners


def train_loss(
    model: Detr | RtDetr, x_bchw: Tensor, labels: Tensor, targets: Tensor, generator: torch.Generator
) -> Tensor:
    """Return the loss of pictures [N, C, H, W] with labels int64 [N, M] and centre boxes [N, M, 4]."""
    config = model.config
    if isinstance(model, RtDetr):
        parts = (
            set_loss(answers.logits.float(), answers.boxes.float(), labels, targets, config)
            for answers in model.layers(x_bchw)
        )
        return sum(part.total(config) for part in parts)
    seen = model.see(x_bchw)
    queries = seen.content.shape[1]
    noised = None
    if config.denoising:
        noised = disturb(
            labels,
            targets,
            groups=config.denoising,
            num_classes=model.num_classes,
            num_queries=queries,
            generator=generator,
        )
    answers = model.decode(seen, noised)
    logits, found = answers.logits.float(), answers.boxes.float()
    total = set_loss(logits[:, :, :queries], found[:, :, :queries], labels, targets, config).total(config)
    if seen.cells is not None:  # the encoder answers as a layer before the decoder's, in every cell
        cells = seen.cells.logits.float(), seen.cells.boxes.float()
        total = total + set_loss(*cells, labels, targets, config).total(config)
    if noised is not None:
        layers = len(logits)
        again = matched_loss(
            logits[:, :, queries:].flatten(0, 1),
            found[:, :, queries:].flatten(0, 1),
            labels.repeat(layers, config.denoising),
            targets.repeat(layers, config.denoising, 1),
            noised.queries.repeat(layers, 1),
            config,
            layers=layers,
            counted=noised.counted.repeat(layers, 1),
        )
        total = total + again.total(config)
    return total


@torch.no_grad()
def validate(model: Detr | RtDetr, split: Batches) -> dict[str, float]:
    """Return the last layer's set loss a picture (``loss``)."""
    config, total = model.config, 0.0
    for images, labels, corners in split.in_order(CHUNK):
        answers = model(unit(images))
        parts = set_loss(
            answers.logits.float()[None],
            answers.boxes.float()[None],
            labels,
            boxes.to_centre(corners),
            config,
        )
        total += float(parts.total(config)) * len(images)
    return {"loss": total / len(split)}
