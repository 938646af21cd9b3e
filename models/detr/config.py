"""Settings of DETR."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from models.blocks.fine_tuning import FineTuning
from models.blocks.loop import Recipe
from models.detr import pretrained
from models.detr.pretrained import Pretrained


class Config(FineTuning, Recipe):
    """What a ``detr`` can be told.

    Where ``base`` is an RT-DETR, nothing from ``backbone`` to ``denoising`` is of effect but ``zoom`` and ``relight``.

    Attributes:
        pretrained: what lies in the folder ``base`` where it is an RT-DETR of transformers, which then is the network.
            It is read when the training starts and kept in the checkpoint, so that the model can be built without its
            base; nobody needs to set it.
        backbone: channels of the backbone's stages, each of which halves the picture; the last one is repeated where
            there would be more than 400 cells, and left out where there would be fewer than 16 or than two an object.
        backbone_depth: residual blocks in each stage but the first.
        width: length of an embedding; a multiple of 4.
        heads: heads of each attention; they divide ``width``.
        hidden: units of the feed-forward part of each layer.
        encoder_depth: layers of the encoder.
        decoder_depth: layers of the decoder.
        dropout: probability of dropping a number after each attention and feed-forward layer.
        zoom: by how much the sides of training pictures are stretched and shifted at most.
        relight: by how much their contrast is changed at most, and their brightness half as much.
        queries: ``cells``: one a cell of the feature map, whose content and first box are what the encoder sees there
            (the two stages of Deformable DETR); or a number of learned ones (the paper's).
        queries_per_object: how many cells become queries for each object that a picture may have: those in which
            the encoder is surest of one. All of them where None.
        spot: whether heads look with preference about their query's box.
        denoising: groups of denoising queries.
        classification: of the set loss.
        no_object_weight: of "no object" in the cross-entropy.
        class_cost, l1_cost, giou_cost: weights of the matching's costs.
        class_weight, l1_weight, giou_weight: weights of the loss's parts.
    """

    NEW: ClassVar[tuple[str, ...]] = (
        *("classify", "decoder.classify", "told"),
        *("base.enc_score_head", "base.decoder.class_embed", "base.denoising_class_embed"),
    )

    pretrained: Pretrained | None = None
    backbone: tuple[int, ...] = Field(default=(24, 48, 96), min_length=1)
    backbone_depth: int = Field(default=1, ge=1)
    width: int = Field(default=96, ge=4, multiple_of=4)
    heads: int = Field(default=4, ge=1)
    hidden: int = Field(default=192, ge=1)
    encoder_depth: int = Field(default=1, ge=0)
    decoder_depth: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    zoom: float = Field(default=0.2, ge=0, lt=1)
    relight: float = Field(default=0.2, ge=0, lt=1)
    queries: Literal["cells"] | PositiveInt = "cells"
    queries_per_object: PositiveInt | None = None
    spot: bool = True
    denoising: int = Field(default=0, ge=0)
    classification: Literal["cross_entropy", "focal", "varifocal"] = "varifocal"
    no_object_weight: float = Field(default=0.1, gt=0)
    class_cost: float = Field(default=2.0, ge=0)
    l1_cost: float = Field(default=5.0, ge=0)
    giou_cost: float = Field(default=2.0, ge=0)
    class_weight: float = Field(default=3.0, ge=0)
    l1_weight: float = Field(default=5.0, ge=0)
    giou_weight: float = Field(default=2.0, ge=0)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} do not divide the width of {self.width}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _read_the_base(cls, values: Any) -> Any:
        if values.get("base") is not None and not values.get("pretrained"):
            return values | {"pretrained": pretrained.read(values["base"])}
        return values

    @model_validator(mode="after")
    def _classify_as_the_base_does(self) -> Self:
        if self.pretrained is not None and self.classification == "cross_entropy":
            raise ValueError(
                "classification: an RT-DETR has no class for 'no object', which 'cross_entropy' needs;"
                " use 'varifocal' or 'focal'"
            )
        return self

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about a minute on digit scenes, some more on those of Fashion-MNIST."""
        return cls(
            decoder_depth=1,
            queries_per_object=2,
            epochs=4,
            least_steps=1800,
            batch_size=16,
            learning_rate=4e-3,
            weight_decay=0.05,
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: deeper and wider, on cells of 4 pixels."""
        return cls(
            backbone=(64, 128),
            backbone_depth=3,
            width=256,
            heads=8,
            hidden=1024,
            encoder_depth=3,
            decoder_depth=4,
            dropout=0.1,
            denoising=5,
            epochs=50,
            least_steps=20_000,
            batch_size=32,
            learning_rate=4e-4,
            weight_decay=0.05,
            ema_decay=0.999,
        )
