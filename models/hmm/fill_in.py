"""Missing pixels from the others: the exact conditional mean of the fitted chains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data import at_once
from models.blocks import missing as missing_pixels
from models.hmm.baum_welch import TOPOLOGIES, Chain, pixel_normaliser
from models.hmm.density import CHUNK, HiddenMarkovModels
from models.hmm.strips import cut, join


def fill_in(model: HiddenMarkovModels, images_nhwc: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, C]: ``images_nhwc`` with their missing pixels at the mean given the other pixels.

    Args:
        model: the fitted chains.
        images_nhwc: uint8 [N, H, W, C]; what the missing pixels hold does not matter.
        missing: bool [N, H, W].

    Raises:
        ValueError: the shapes do not belong together.
    """
    means = conditional_mean(model, images_nhwc, missing)
    return missing_pixels.filled(images_nhwc, missing, means, model.levels)


@torch.no_grad()
def conditional_mean(model: HiddenMarkovModels, images_nhwc: np.ndarray, missing: np.ndarray) -> Tensor:
    """Return the means of all pixels given the observed ones, float64 [N, H, W, C] in the model's (0, 1).

    Pixels of a strip are independent given its state, so a missing one adds nothing to the log-density of its strip,
    and its mean is the states' means, weighted by their posteriors given all observed pixels, over all classes.
    """
    missing_pixels.check(images_nhwc, missing)
    (_, _, width, channels), device = images_nhwc.shape, model.means.device
    strips = model.strips(torch.as_tensor(images_nhwc).to(device))
    seen = ~torch.as_tensor(missing).to(device)[..., None].expand(-1, -1, -1, channels)
    size = at_once.pictures(model.spec.shape, CHUNK)
    parts = [
        _given(model, model.middles(x), observed)
        for x, observed in zip(
            strips.split(size, dim=1), cut(seen, model.config.strip).split(size, dim=1), strict=True
        )
    ]
    return join(torch.cat(parts, dim=1), width, channels)


def _given(model: HiddenMarkovModels, x: Tensor, seen: Tensor) -> Tensor:
    """Return the means [T, N, D] of strips ``x`` [T, N, D] of which only ``seen`` (bool [T, N, D]) is known."""
    joint, means = [], []
    smooth = TOPOLOGIES[model.config.topology].smooth
    for share, chain in zip(model.shares, model.chains, strict=True):
        densities = _log_densities(x, seen, chain, model.noise)
        likelihood, posteriors, _ = smooth(densities, chain.start[None], chain.transitions)
        joint.append(share.log() + likelihood)
        means.append(posteriors @ chain.means)
    return torch.einsum("kn,ktnd->tnd", torch.stack(joint).softmax(dim=0), torch.stack(means))


def _log_densities(x: Tensor, seen: Tensor, chain: Chain, noise: float) -> Tensor:
    """Return the log-densities [T, N, S] of what is ``seen`` of ``x``."""
    precisions = chain.variances.reciprocal()
    offsets = pixel_normaliser(chain.means.square() * precisions, chain.variances, noise)
    terms = torch.cat([chain.means * precisions, -0.5 * precisions, -0.5 * offsets], dim=1)
    return torch.cat([x, x.square(), torch.ones_like(x)], dim=2).mul(seen.repeat(1, 1, 3)) @ terms.T
