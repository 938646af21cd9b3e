"""Images out of the model: new ones from a seed, and the data's own sent through the bottleneck."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.blocks import noise
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


def graph(model: VAE) -> Sampler:
    """Return the module to export."""
    return Sampler(model).eval()


@torch.no_grad()
def reconstruct(model: VAE, images_nhwc: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, C]: each image decoded from the mean of its q(z | x)."""
    device = next(model.parameters()).device
    chunks = torch.as_tensor(images_nhwc).split(CHUNK)
    return (
        torch.cat([render(model, model.encode(unit(chunk.to(device)))[0]) for chunk in chunks]).cpu().numpy()
    )


def render(model: VAE, z: Tensor) -> Tensor:
    """Map z [N, Z] to the decoder's mean, uint8 [N, H, W, C]."""
    pixels = model.decode(z).mean().reshape(-1, *model.shape)
    return torch.round(255 * pixels.permute(0, 2, 3, 1)).to(torch.uint8)
