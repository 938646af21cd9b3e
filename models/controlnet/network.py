"""The locked model, the copy beside it, and the zero convolutions between the two (Zhang et al. 2023, section 3.1)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import DataSpec
from models.blocks.pixels import unit
from models.blocks.unet import UNet, zeroed
from models.checkpoint import Checkpoint
from models.controlnet.config import Config
from models.text_to_image import base_weights
from models.text_to_image.network import LatentDiffusion, gist


class Control(nn.Module):
    """What is trained: the copy of the way down, what brings the edge map to it, and what brings its features back."""

    def __init__(self, unet: UNet, hint: nn.Module, widths: list[int]) -> None:
        """Make a copy of ``unet``, whose features have ``widths``, the middle's last."""
        super().__init__()
        self.copy = copy.deepcopy(unet)
        # What is on the way up is the locked one's alone.
        del self.copy.up, self.copy.grow, self.copy.head
        self.hint = hint
        self.back = nn.ModuleList([zeroed(nn.Conv2d(width, width, 1)) for width in widths])

    def forward(
        self, mixture: Tensor, condition: Tensor, words: Tensor, padding: Tensor, hint: Tensor
    ) -> list[Tensor]:
        """Return what is added to each of the features that ``UNet.encode`` gives of the locked one."""
        features = self.copy.encode(mixture, condition, words, padding, hint)
        return [back(feature) for back, feature in zip(self.back, features, strict=True)]


class Controlled(LatentDiffusion):
    """A latent diffusion model that is told an edge map, too."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.base, spec)
        self.recipe, base = config, config.base
        self.config = base.model_copy(update={"guidance": config.guidance})
        widths = [width for width in base.widths for _ in range(base.depth)] + [base.widths[-1]]
        hint = _hint(spec.input_channels, config.hint_width, base.widths[0], len(base.autoencoder_widths) - 1)
        self.control = Control(self.unet, hint, widths)

    def forward(
        self, mixture: Tensor, times: Tensor, words: Tensor, padding: Tensor, hint: Tensor, strength: Tensor
    ) -> Tensor:
        """Return what ``config.prediction`` names.

        Args:
            mixture: float32 [N, Z, h, w].
            times: int64 [N], or [1] for all.
            words: float [N, 1 + L, D], from ``text``.
            padding: bool [N, 1 + L], from ``text``.
            hint: float [N, width, h, w], what :meth:`look` makes of the edge maps.
            strength: float [N], how much what the copy says counts; with 0 it is the locked model's answer.
        """
        condition = functional.silu(self.time(times) + self.whole(gist(words, padding)))
        added = self.control(mixture, condition, words, padding, hint)
        features = self.unet.encode(mixture, condition, words, padding)
        strength = strength[:, None, None, None]
        *seen, middle = [feature + strength * more for feature, more in zip(features, added, strict=True)]
        return self.unet.decode(middle, seen, condition, words, padding)

    def look(self, edges_bchw: Tensor) -> Tensor:
        """Return what the copy is told of edge maps [N, 1, H, W] in [0, 1]."""
        return self.control.hint(edges_bchw)


def build(config: Config, spec: DataSpec) -> Controlled:
    """Return the networks with random weights; the edge map changes nothing yet."""
    return Controlled(config, spec)


def start(model: Controlled, base: Checkpoint) -> None:
    """Give the locked part of ``model`` the weights of ``base``, and the copy the same.

    Raises:
        UserError: as of :func:`models.text_to_image.base_weights.start`.
    """
    base_weights.start(model, base)
    weights = {
        name: value
        for name, value in model.unet.state_dict().items()
        if name in model.control.copy.state_dict()
    }
    model.control.copy.load_state_dict(weights)


def shown(model: Controlled, edges_bhwc: Tensor) -> tuple[Tensor, Tensor]:
    """Return what ``forward`` is to be told of edge maps uint8 [N, H, W, 1]: hint and strength."""
    return model.look(unit(edges_bhwc)), torch.ones(edges_bhwc.shape[0], device=edges_bhwc.device)


def _hint(channels: int, width: int, out: int, halvings: int) -> nn.Sequential:
    """Return what brings an edge map to the size of the latents, which halve its sides so often; at first to zero."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.SiLU()]
    for _ in range(halvings):
        layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.SiLU()]
        width *= 2
    return nn.Sequential(*layers, zeroed(nn.Conv2d(width, out, 3, padding=1)))
