"""The adapted model: what of it is trained, and what is exported."""

from __future__ import annotations

import copy

from torch import nn

from data.prepared import DataSpec, PreparedData
from models.blocks.attention import MultiHeadAttention
from models.lora.adapters import adapt, merge
from models.lora.config import Config
from models.run import Run
from models.text_to_image import sample
from models.text_to_image.teaching import Student, teach


class Adapted(Student):
    """A latent diffusion model with an adapter beside each projection of the U-Net's attentions."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config, spec)
        for layer in self.unet.modules():
            if isinstance(layer, MultiHeadAttention):
                adapt(layer, config.rank, config.alpha)


def build(config: Config, spec: DataSpec) -> Adapted:
    """Return the networks with random weights; the adapters change nothing yet."""
    return Adapted(config, spec)


def fit(model: Adapted, data: PreparedData, run: Run) -> None:
    """Train the adapters of ``model`` in place; every other weight stays, bit for bit."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name)
    teach(model, data, run)


def graph(model: Adapted) -> nn.Module:
    """Return the module to export, the adapters in the weights that they are beside."""
    whole = copy.deepcopy(model)
    merge(whole)
    return sample.graph(whole)
