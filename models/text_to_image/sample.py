"""Reverse diffusion: an image for each prompt. And what the autoencoder makes of the data's own images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from data import at_once
from models.blocks import noise, samplers
from models.blocks.pixels import picture, unit
from models.blocks.samplers import Sampler
from models.text_to_image.network import LatentDiffusion, Told

CHUNK = 500


class Generator(nn.Module):
    """What is exported: captions and a seed in, images out, the whole loop and the decoder inside."""

    def __init__(self, model: LatentDiffusion) -> None:
        super().__init__()
        self.model = model
        self.steps = model.sampler()

    def forward(self, prompt: Tensor, seed: Tensor) -> Tensor:
        """Map prompt int64 [N, L] and seed int64 [1] to uint8 [N, H, W, C].

        The noise of image ``i`` follows from the seed and ``i``, so that the image does not depend on N.
        """
        return picture(self.model.decode(self.draw(prompt, seed)))

    def draw(self, prompt: Tensor, seed: Tensor) -> Tensor:
        """Return the latents float32 [N, Z, h, w]."""
        return latents(self.model, self.steps, *self.model.told(prompt), seed)


def latents(model: LatentDiffusion, steps: Sampler, asked: Told, free: Told, seed: Tensor) -> Tensor:
    """Return latents float32 [N, Z, h, w].

    Args:
        model: the networks.
        steps: its sampler.
        asked: what ``model.estimate`` is to be told, N rows each.
        free: what it is to be told where nothing is asked.
        seed: int64 [1], of the noise.
    """

    def fresh(number: Tensor, count: int) -> Tensor:
        return noise.normal(seed, count, model.dim, stream=number).unflatten(1, model.shape)

    return samplers.reverse(
        steps,
        lambda mixture, time: model.estimate(mixture, time, asked, free),
        lambda number, count: fresh(number + 1, count),
        fresh(torch.zeros_like(seed), asked[0].shape[0]),
    )


def graph(model: LatentDiffusion) -> Generator:
    """Return the module to export."""
    return Generator(model).eval()


@torch.no_grad()
def reconstruct(model: LatentDiffusion, images_nhwc: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, C]: each image decoded from its latent."""
    device = model.alpha.device
    chunks = torch.as_tensor(images_nhwc).split(at_once.pictures(images_nhwc.shape[1:], CHUNK))
    rebuilt = [picture(model.decode(model.encode(unit(chunk.to(device))))) for chunk in chunks]
    return torch.cat(rebuilt).cpu().numpy()
