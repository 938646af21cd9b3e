"""Settings of the segmenter."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from models.blocks import pyramid
from models.blocks.fine_tuning import FineTuning
from models.blocks.patches import Patched


class Config(FineTuning, Patched):
    """What a ``segmenter`` can be told; ``grid`` is of the patches of what the stem, or the backbone, gives.

    Attributes:
        backbone: a network whose weights others have trained, in place of the stem: ``efficientnet_lite0``, or the name
            of a convolutional classifier of torchvision. It reads colours, as many pixels as the data has, standardised
            as it was trained. ``freeze`` is of it alone; without it, of all before the decoder.
        dropout: probability of dropping a number after the embedding, the attention and each feed-forward layer.
        stem: channels of the convolutions before the patches; each halves the picture. None are fine.
        stem_depth: convolutions after each of those.
        decoder_depth: layers that read patches and classes together.
        pixels: length of the embedding of a pixel.
        class_weight: what it counts to tell the classes of objects' pixels apart, where telling objects from the ground
            counts 1.
    """

    NEW: ClassVar[tuple[str, ...]] = ("classes", "bias")

    backbone: pyramid.Name | None = None
    dropout: float = Field(default=0.0, ge=0, lt=1)
    stem: tuple[int, ...] = (32, 64)
    stem_depth: int = Field(default=1, ge=0)
    decoder_depth: int = Field(default=1, ge=1)
    pixels: int = Field(default=32, ge=1)
    class_weight: float = Field(default=1.0, gt=0)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about a minute and a half on scenes of digits, longer on those of Fashion-MNIST."""
        return cls(
            grid=12,
            width=64,
            depth=1,
            hidden=128,
            stem=(24, 80),
            stem_depth=3,
            pixels=16,
            class_weight=2.0,
            label_smoothing=0.0,
            epochs=3,
            batch_size=16,
            learning_rate=1e-2,
            weight_decay=0.05,
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: wider and deeper, long."""
        return cls(
            grid=16,
            width=256,
            depth=8,
            heads=8,
            hidden=768,
            dropout=0.1,
            stem=(64, 128),
            decoder_depth=2,
            pixels=64,
            stretch=0.2,
            label_smoothing=0.0,
            epochs=60,
            least_steps=20_000,
            batch_size=128,
            learning_rate=1e-3,
            weight_decay=0.05,
            ema_decay=0.999,
        )
