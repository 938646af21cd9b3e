"""The importance-weighted bound on the likelihood (Burda et al. 2016, equation 8)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from data import at_once
from models.blocks import noise
from models.blocks.pixels import level, unit
from models.vae.network import VAE
from models.vae.sample import most_probable_class

CHUNK = 50
"""Images at a time at most: each is decoded ``draws`` times."""
DECODED = 2**23
"""Numbers of all that is decoded at a time."""


@torch.no_grad()
def log_likelihood(model: VAE, images_nhwc: np.ndarray, seed: int) -> np.ndarray:
    """Return nats per image, float64 [N], of uint8 [N, H, W, C] on the levels.

    It is a lower bound in expectation, tighter with more draws. An image's draws follow from ``seed`` and its place.
    A conditional model's is of the mixture of its classes, each as likely as another. Of them the one under which an
    image is most probable stands for all: leaving terms out of the sum lowers the bound, here by next to nothing.
    """
    device = next(model.parameters()).device
    bounds, first = [], 0
    for chunk in torch.as_tensor(images_nhwc).split(chunk_size(model)):
        x_bchw = unit(chunk.to(device))
        if model.config.conditional:
            bound = _bound(model, x_bchw, most_probable_class(model, x_bchw), seed, first) - math.log(
                model.num_classes
            )
        else:
            bound = _bound(model, x_bchw, None, seed, first)
        bounds.append(bound)
        first += len(chunk)
    return torch.cat(bounds).cpu().numpy()


def chunk_size(model: VAE) -> int:
    """Return how many images are computed on at a time, each with all of its draws."""
    return at_once.pictures((model.config.draws, *model.shape), CHUNK, DECODED)


def _bound(model: VAE, x_bchw: Tensor, label: Tensor | None, seed: int, first: int) -> Tensor:
    """Return the bound [N] on log p(x), or on log p(x | label) with int64 [N] classes."""
    draws, latents = model.config.draws, model.config.latents
    key = torch.tensor([seed], device=x_bchw.device)
    mean, log_variance = model.encode(x_bchw, label)
    drawn = noise.normal(key, len(x_bchw), draws * latents, first=first).unflatten(1, (draws, latents))
    z = mean[:, None] + (0.5 * log_variance[:, None]).exp() * drawn
    # Both normal densities have the same factor (2 pi)^(-Z / 2), which cancels.
    log_prior = -0.5 * z.square().sum(dim=2)
    log_posterior = -0.5 * (drawn.square() + log_variance[:, None]).sum(dim=2)
    k = level(x_bchw, model.levels).flatten(1)[:, None]
    of_draw = None if label is None else label[:, None]  # the same class for each of an image's draws
    log_image = model.decode(z, of_draw).log_probability(k, model.levels).double().sum(dim=2)
    weights = log_image + (log_prior - log_posterior).double()
    return weights.logsumexp(dim=1) - math.log(draws)
