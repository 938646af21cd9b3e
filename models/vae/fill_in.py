"""Missing pixels from the others: their mean over the codes that the seen pixels allow."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.blocks import missing as missing_pixels
from models.blocks import noise
from models.blocks.pixels import level, unit
from models.vae.likelihood import chunk_size
from models.vae.network import VAE

ROUNDS = 4
"""Times that missing pixels are taken from what is decoded, and the image is encoded."""


@torch.no_grad()
def fill_in(model: VAE, images_nhwc: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, C]: ``images_nhwc`` with their missing pixels at the mean given the other pixels.

    ``draws`` chains begin anywhere and take turns at encoding and decoding (Rezende et al. 2014, section 5.4 and
    appendix F), which brings the missing pixels to where the encoder can read the image. The mean is over their last
    codes, each weighted by p(seen pixels, z) over the density that it was drawn from (population Monte Carlo: Cappé et
    al. 2004; mixture of all chains: Cornuet et al. 2012).

    Args:
        model: the autoencoder; the chains of a conditional one are of every class in turn.
        images_nhwc: uint8 [N, H, W, C]; what the missing pixels hold does not matter.
        missing: bool [N, H, W].

    Raises:
        ValueError: the shapes do not belong together.
    """
    missing_pixels.check(images_nhwc, missing)
    device = next(model.parameters()).device
    filled, first = [], 0
    size = chunk_size(model)
    for images, gone in zip(
        torch.as_tensor(images_nhwc).split(size), torch.as_tensor(missing).split(size), strict=True
    ):
        means = _fill(model, unit(images.to(device)), gone.to(device)[:, None], first)
        filled.append((255 * means).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
        first += len(images)
    return np.where(missing[..., None], np.concatenate(filled), images_nhwc)


def _fill(model: VAE, x_bchw: Tensor, gone: Tensor, first: int) -> Tensor:
    """Return the means of all pixels [N, C, H, W] given those that are not ``gone``, bool [N, 1, H, W]."""
    count, draws, latents = len(x_bchw), model.config.draws, model.config.latents
    seed = torch.zeros(1, dtype=torch.int64, device=x_bchw.device)

    def draw(stream: int) -> Tensor:
        return noise.normal(seed, count, draws * latents, stream=stream, first=first).reshape(-1, latents)

    seen, gone = (each.repeat_interleave(draws, dim=0) for each in (x_bchw, gone))
    label = None
    if model.config.conditional:
        label = (torch.arange(draws, device=seen.device) % model.num_classes).repeat(count)
    z = draw(0)
    for stream in range(1, ROUNDS + 1):
        x = torch.where(gone, model.decode(z, label).mean().reshape(seen.shape), seen)
        mean, log_variance = model.encode(x, label)
        z = mean + (0.5 * log_variance).exp() * draw(stream)
    pixels = model.decode(z, label)
    log_seen = pixels.log_probability(level(seen, model.levels).flatten(1), model.levels)
    log_seen = (log_seen * ~gone.expand_as(seen).flatten(1)).sum(dim=1)
    log_prior = -0.5 * z.square().sum(dim=1)
    log_joint, z, mean, log_variance, means = (
        each.unflatten(0, (count, draws))
        for each in (log_seen + log_prior, z, mean, log_variance, pixels.mean())
    )
    weights = (log_joint - _log_density(z, mean, log_variance, label)).softmax(dim=1)
    return (weights[..., None] * means).sum(dim=1).reshape(x_bchw.shape)


def _log_density(z: Tensor, mean: Tensor, log_variance: Tensor, label: Tensor | None) -> Tensor:
    """Return [N, S] up to a constant: the log-density of each code under the mixture of all chains of its class.

    Under its own chain's q(z | x) alone, a code that another chain was as likely to find would count for too much.
    """
    apart = (z[:, :, None] - mean[:, None]).square() / log_variance.exp()[:, None] + log_variance[:, None]
    log_q = -0.5 * apart.sum(dim=3)
    if label is not None:
        of_chain = label[: z.shape[1]]
        log_q = log_q.masked_fill(of_chain[:, None] != of_chain[None], -torch.inf)
    return log_q.logsumexp(dim=2)
