"""Settings of the transformer."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from models.blocks.transcribe import FULL, QUICK, Transcribing


class Config(Transcribing):
    """What a ``transformer`` can be told.

    Attributes:
        width: length of an embedding.
        heads: heads of each attention; they divide ``width``.
        hidden: units of the feed-forward part of each layer.
        encoders: layers that read.
        decoders: layers that write.
        norm_first: normalise before each part (Xiong et al. 2020) rather than after it has been added.
        dropout: probability of dropping a number of an embedding and of what each part adds.
    """

    width: int = Field(default=64, ge=2, multiple_of=2)
    heads: int = Field(default=4, ge=1)
    hidden: int = Field(default=128, ge=1)
    encoders: int = Field(default=2, ge=1)
    decoders: int = Field(default=2, ge=1)
    norm_first: bool = False
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} do not divide the width of {self.width}")
        return self

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about a minute on digit lines."""
        return cls(**QUICK, epochs=8)

    @classmethod
    def full(cls) -> Config:
        """One GPU: wider, longer, with a beam."""
        return cls(**FULL, width=256, heads=8, hidden=1024, dropout=0.2, learning_rate=1e-3)
