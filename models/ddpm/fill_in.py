"""Missing pixels from the others, by a reverse process that is led to what is seen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data import at_once
from models.blocks import missing as missing_pixels
from models.blocks import noise
from models.blocks.pixels import picture
from models.ddpm.network import Denoiser

STEPS = 20
DRAWS = 4
"""Fillings of an image that are averaged."""
PULL = 10.0
"""Weight of the reconstruction guidance. On digits' validation split 6, 10 and 20 differed by 0.005 in the error."""
CHUNK = 512
"""Fillings at a time at most."""


def fill_in(model: Denoiser, images_nhwc: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, C]: ``images_nhwc`` with their missing pixels at their mean given the other pixels.

    The mean is over :data:`DRAWS` drawn fillings, of no class in particular.

    Args:
        model: the trained model.
        images_nhwc: uint8 [N, H, W, C]; what the missing pixels hold does not matter.
        missing: bool [N, H, W].

    Raises:
        ValueError: the shapes do not belong together.
    """
    missing_pixels.check(images_nhwc, missing)
    device = model.alpha.device
    images = torch.as_tensor(images_nhwc).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    gone = torch.as_tensor(missing).to(device)[:, None]
    means, size = [], max(1, at_once.pictures(model.shape, CHUNK) // DRAWS)
    for first in range(0, len(images), size):
        chunk = slice(first, first + size)
        known, hidden = (part[chunk].repeat_interleave(DRAWS, dim=0) for part in (images, gone))
        filled = _draw(model, known, hidden, first * DRAWS)
        means.append(filled.unflatten(0, (-1, DRAWS)).mean(dim=1))
    return np.where(missing[..., None], picture(torch.cat(means)).cpu().numpy(), images_nhwc)


def _draw(model: Denoiser, known: Tensor, gone: Tensor, first: int) -> Tensor:
    """Return float32 [N, C, H, W] like ``known``, the pixels ``gone`` (bool [N, 1, H, W]) drawn given the others.

    Before each step the seen pixels are put in, with the noise of that time. That alone hardly reaches the others:
    what the step thinks of them also moves down the gradient of how far it is off on the seen ones (Ho et al. 2022,
    "Video Diffusion Models", equation 7, "reconstruction guidance").
    """
    steps = model.sampler("ancestral", min(STEPS, model.config.times))
    seed = torch.zeros(1, dtype=torch.int64, device=known.device)

    def fresh(stream: int) -> Tensor:
        drawn = noise.normal(seed, known.shape[0], model.dim, stream=stream, first=first)
        return drawn.unflatten(1, model.shape)

    x = fresh(0)
    for number, (a, b, _, d) in enumerate(steps.weights.tolist()):
        time = steps.times[number : number + 1].to(known.device)
        seen = model.alpha[time] * known + model.sigma[time] * fresh(2 * number + 1)
        x = torch.where(gone, x, seen).requires_grad_()
        with torch.enable_grad():
            image = model.estimate(x, time, None, 1.0)
            (slope,) = torch.autograd.grad((known - image).masked_fill(gone, 0).square().sum(), x)
        with torch.no_grad():
            image = (image - 0.5 * PULL * model.alpha[time] * slope).clamp(-1, 1)
            x = a * x + b * torch.where(gone, image, known) + d * fresh(2 * number + 2)
    return x
