"""Normal distributions with independent numbers, as encoders give them: their divergence from the standard one."""

from __future__ import annotations

from torch import Tensor


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(q || N(0, 1)) [N] of diagonal Gaussians [N, Z], in closed form (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
