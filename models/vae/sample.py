"""Images out of the model: new ones from a seed, and the data's own sent through the bottleneck."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from data import at_once
from models.blocks import noise
from models.blocks.condition import asked
from models.blocks.pixels import unit
from models.vae.network import VAE

CHUNK = 1000


class Sampler(nn.Module):
    """What is exported: a seed in, that many images out, the noise drawn inside."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, seed: Tensor, count: Tensor) -> Tensor:
        """Map seed int64 [1] and count int64 [1] to uint8 [count, H, W, C].

        Each image is the decoder's mean at a z from the prior: pixel noise beyond it carries no content.
        """
        return render(self.model, noise.normal(seed, noise.as_size(count), self.model.config.latents))


class ConditionalSampler(Sampler):
    """The same of a conditional model: a class is the third input."""

    def forward(self, seed: Tensor, count: Tensor, label: Tensor) -> Tensor:
        """Map seed, count and label, int64 [1] each, to uint8 [count, H, W, C]; label -1: every class in turn."""
        size = noise.as_size(count)
        z = noise.normal(seed, size, self.model.config.latents)
        return render(self.model, z, asked(label, size, self.model.num_classes))


def graph(model: VAE) -> Sampler:
    """Return the module to export."""
    return (ConditionalSampler if model.config.conditional else Sampler)(model).eval()


@torch.no_grad()
def reconstruct(model: VAE, images_nhwc: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, C]: each image decoded from the mean of its q(z | x).

    A conditional model takes it for the class under which it is most probable.
    """
    device = next(model.parameters()).device
    rebuilt = []
    for chunk in torch.as_tensor(images_nhwc).split(at_once.pictures(images_nhwc.shape[1:], CHUNK)):
        x_bchw = unit(chunk.to(device))
        label = most_probable_class(model, x_bchw) if model.config.conditional else None
        rebuilt.append(render(model, model.encode(x_bchw, label)[0], label))
    return torch.cat(rebuilt).cpu().numpy()


def most_probable_class(model: VAE, x_bchw: Tensor) -> Tensor:
    """Return int64 [N]: the class of the highest evidence lower bound, each taken at the mean of q(z | x)."""
    at_mean = x_bchw.new_zeros(len(x_bchw), model.config.latents)
    classes = torch.arange(model.num_classes, device=x_bchw.device)
    return torch.stack([model(x_bchw, at_mean, k) for k in classes]).argmax(dim=0)


def render(model: VAE, z: Tensor, label: Tensor | None = None) -> Tensor:
    """Map z [N, Z] to the decoder's mean, uint8 [N, H, W, C]."""
    pixels = model.decode(z, label).mean().reshape(-1, *model.shape)
    return torch.round(255 * pixels.permute(0, 2, 3, 1)).to(torch.uint8)
