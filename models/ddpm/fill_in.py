"""Missing pixels from the others, by a reverse process that is held to what is seen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.blocks import missing as missing_pixels
from models.blocks import noise
from models.ddpm.network import Denoiser
from models.ddpm.sample import render

STEPS = 40
REPEATS = 2
"""Times that each step is taken."""
DRAWS = 4
"""Fillings of an image that are averaged."""
CHUNK = 256
"""Fillings at a time."""


@torch.no_grad()
def fill_in(model: Denoiser, images_nhwc: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, C]: ``images_nhwc`` with their missing pixels at their mean given the other pixels.

    The mean is over :data:`DRAWS` drawn fillings, each without a class.

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
    means, size = [], CHUNK // DRAWS
    for first in range(0, len(images), size):
        chunk = slice(first, first + size)
        known, hidden = (part[chunk].repeat_interleave(DRAWS, dim=0) for part in (images, gone))
        filled = _fill(model, known, hidden, first * DRAWS)
        means.append(filled.unflatten(0, (-1, DRAWS)).mean(dim=1))
    filled = render(torch.cat(means)).cpu().numpy()
    return np.where(missing[..., None], filled, images_nhwc)


def _fill(model: Denoiser, known: Tensor, gone: Tensor, first: int) -> Tensor:
    """Return float32 [N, C, H, W] like ``known``, the pixels ``gone`` (bool [N, 1, H, W]) drawn given the others.

    RePaint (Lugmayr et al. 2022, algorithm 1): after each step the seen pixels are put back, with the noise of that
    time; and each step is taken several times, noise being added again between, so that the two parts can agree.
    """
    steps = model.sampler("ancestral", min(STEPS, model.config.times))
    seed = torch.zeros(1, dtype=torch.int64, device=known.device)
    stream = 0

    def fresh() -> Tensor:
        nonlocal stream
        stream += 1
        return noise.normal(seed, known.shape[0], model.dim, stream=stream, first=first).unflatten(1, model.shape)

    levels = model.schedule.alpha_bar[steps.times].tolist()
    x = fresh()
    for number, (a, b, _, d) in enumerate(steps.weights.tolist()):
        now, after = levels[number], levels[number + 1] if number + 1 < len(levels) else 1.0
        for repeat in range(REPEATS):
            image = model.image(x, steps.times[number : number + 1].to(x.device), None, 1.0)
            seen = after**0.5 * known + (1 - after) ** 0.5 * fresh()
            x = torch.where(gone, a * x + b * image + d * fresh(), seen)
            if repeat + 1 < REPEATS:
                x = (now / after) ** 0.5 * x + (1 - now / after) ** 0.5 * fresh()
    return x
