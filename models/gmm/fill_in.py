"""Missing pixels from the others: the exact conditional mean of the fitted mixtures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.blocks import missing as missing_pixels
from models.gmm import em
from models.gmm.density import GaussianMixtures


def fill_in(model: GaussianMixtures, images_nhwc: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, C]: ``images_nhwc`` with their missing pixels at the mean given the other pixels.

    Args:
        model: the fitted mixtures.
        images_nhwc: uint8 [N, H, W, C]; what the missing pixels hold does not matter.
        missing: bool [N, H, W]; images with the same pixels missing are computed together.

    Raises:
        ValueError: the shapes do not belong together.
    """
    means = conditional_mean(model, images_nhwc, missing)
    return missing_pixels.filled(images_nhwc, missing, means, model.levels)


@torch.no_grad()
def conditional_mean(model: GaussianMixtures, images_nhwc: np.ndarray, missing: np.ndarray) -> Tensor:
    """Return the means of all pixels given the observed ones, float64 [N, H, W, C] in the model's (0, 1).

    Each component's conditional mean (Bishop 2006, "Pattern Recognition and Machine Learning", section 2.3.1) is
    weighted by the component's posterior given the observed pixels, which is the model's own.
    """
    missing_pixels.check(images_nhwc, missing)
    height, width, channels = images_nhwc.shape[1:]
    x = model.pixels(torch.as_tensor(images_nhwc).to(model.means.device))
    patterns, of_image = np.unique(missing.reshape(len(missing), -1), axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        gone = torch.as_tensor(
            np.tile(pattern, channels), device=x.device
        )  # pixels are stored channel by channel
        images = torch.as_tensor(np.flatnonzero(of_image == number), device=x.device)
        x[images[:, None], gone.nonzero()[:, 0]] = _given(model, x[images][:, ~gone], gone)
    return x.unflatten(1, (channels, height, width)).permute(0, 2, 3, 1)


def _given(model: GaussianMixtures, seen: Tensor, gone: Tensor) -> Tensor:
    """Return the means [N, G] of the pixels ``gone`` (bool [D]) given the values ``seen`` [N, D - G] of the others."""
    log_posterior, means = [], []
    centres, scales = model.means.flatten(0, 1), model.scales.flatten(0, 1)
    none = torch.zeros_like(model.constants.flatten())
    priors = model.constants.flatten() - em.constants(none, scales, model.noise)
    for centre, scale, prior in zip(centres, scales, priors, strict=True):
        centred = seen - centre[~gone]
        if scale.ndim == 1:
            white, whitening = centred * scale[~gone], scale[~gone]
            means.append(centre[gone].expand(len(seen), -1))
        else:
            factor = torch.linalg.inv(scale).T  # of the covariance: factor @ factor.T
            cross = factor[gone] @ factor[~gone].T
            covariance = factor[~gone] @ factor[~gone].T
            identity = torch.eye(len(covariance), dtype=seen.dtype, device=seen.device)
            lower = torch.linalg.cholesky(covariance)
            whitening = torch.linalg.solve_triangular(lower, identity, upper=False).T
            white = centred @ whitening
            means.append(centre[gone] + white @ (cross @ whitening).T)
        log_posterior.append(
            em.constants(prior[None], whitening[None], model.noise) - 0.5 * white.square().sum(dim=1)
        )
    posterior = torch.stack(log_posterior).softmax(dim=0)
    return torch.einsum("mn,mng->ng", posterior, torch.stack(means))
