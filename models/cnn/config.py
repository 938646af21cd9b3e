"""Settings of the convolutional network."""

from __future__ import annotations

from pydantic import Field

from models.blocks import backbones
from models.blocks.classify import Classifying
from models.blocks.fine_tuning import FewShots


class Config(FewShots, Classifying):
    """What a ``cnn`` can be told.

    Attributes:
        backbone: a network whose weights others have trained, in place of the one that ``widths``, ``depth`` and
            ``stem_stride`` describe: ``efficientnet_lite0``, or the name of a convolutional classifier of torchvision.
            It reads colours, as many pixels as the data has, standardised as it was trained.
        widths: channels of each stage; the picture is halved between stages.
        depth: residual blocks in each stage.
        stem_stride: how much the first convolution shrinks pictures of 16 or more pixels.
        dropout: probability of dropping a feature before the last layer.
        label_smoothing: probability taken from the right class and spread over all (Szegedy et al. 2016).
    """

    backbone: backbones.Name | None = None
    widths: tuple[int, ...] = Field(default=(32, 64, 128), min_length=1)
    depth: int = Field(default=1, ge=1)
    stem_stride: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: seconds on digits, about three minutes on Fashion-MNIST."""
        return cls(shift=1, epochs=2, least_steps=250, batch_size=64, learning_rate=4e-3, weight_decay=0.05)

    @classmethod
    def full(cls) -> Config:
        """One GPU: WRN-28-4 with crop, cutout and averaged weights."""
        return cls(
            widths=(64, 128, 256),
            depth=4,
            stem_stride=1,
            dropout=0.2,
            label_smoothing=0.1,
            shift=2,
            cutout=8,
            epochs=100,
            least_steps=10_000,
            batch_size=256,
            learning_rate=2e-3,
            weight_decay=0.05,
            ema_decay=0.999,
        )
