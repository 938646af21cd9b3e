"""The adapted model: what of it is trained, and what is exported."""

from __future__ import annotations

import copy

from torch import nn

from data.captions import FIRST
from data.prepared import DataSpec, PreparedData
from models.blocks.attention import MultiHeadAttention
from models.checkpoint import Checkpoint
from models.lora.adapters import AdaptedEmbedding, adapt, merge
from models.lora.config import Config
from models.run import Run
from models.text_to_image import sample, teaching

LEARNED = ("lora_A", "lora_B", "change")
"""What the names of trained weights have in them."""


class Adapted(teaching.Student):
    """A latent diffusion model with an adapter beside each projection of the U-Net's attentions."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.text.embed = AdaptedEmbedding(self.text.embed)
        for layer in self.unet.modules():
            if isinstance(layer, MultiHeadAttention):
                adapt(layer, config.rank, config.alpha)


def build(config: Config, spec: DataSpec) -> Adapted:
    """Return the networks with random weights; the adapters change nothing yet."""
    return Adapted(config, spec)


def start(model: Adapted, base: Checkpoint) -> None:
    """Give ``model`` the weights of ``base``; the words that ``base`` does not know are new.

    Raises:
        UserError: as of :func:`models.text_to_image.base_weights.start`.
    """
    teaching.start(model, base)
    for row, word in enumerate(model.spec.words, FIRST):
        model.text.embed.is_new[row] = word not in base.spec.words


def fit(model: Adapted, data: PreparedData, run: Run) -> None:
    """Train the adapters of ``model`` and the vectors of new words in place; all else stays, bit for bit."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(part in LEARNED for part in name.split(".")))
    teaching.teach(model, data, run)


def graph(model: Adapted) -> nn.Module:
    """Return the module to export: what was learned is in the weights that it was learned beside."""
    whole = copy.deepcopy(model)
    merge(whole)
    return sample.graph(whole)
