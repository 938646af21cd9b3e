"""Settings of the recurrent encoder and decoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.blocks.transcribe import FULL, QUICK, Transcribing


class Config(Transcribing):
    """What an ``encoder_decoder`` can be told.

    Attributes:
        attention: ``additive`` (Bahdanau et al. 2015), ``dot`` (Luong et al. 2015), or ``none``: the decoder then
            knows of the image what the encoder's last states tell it.
        width: hidden units of the decoder, and of the encoder in each direction.
        dropout: probability of dropping a number of what the encoder read and before the last weight.
        forcing: share of the right symbols that the decoder is given in training at its end, the others being its own;
            it begins at 1 and falls linearly (Bengio et al. 2015, "Scheduled sampling", section 2.4).
    """

    attention: Literal["additive", "dot", "none"] = "additive"
    width: int = Field(default=128, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    forcing: float = Field(default=0.75, ge=0, le=1)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: about a minute on digit lines."""
        return cls(**QUICK, width=96, dropout=0.3, forcing=1.0, epochs=5)

    @classmethod
    def full(cls) -> Config:
        """One GPU: wider, longer, with a beam."""
        return cls(**FULL, width=384, dropout=0.4, learning_rate=2e-3)
