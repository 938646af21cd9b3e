"""The divergence in closed form against PyTorch's."""

from __future__ import annotations

import torch
from torch.distributions import Normal, kl_divergence

from models.blocks.gaussian import divergence


def test_divergence_equals_torch_s():
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 7, 5, generator=generator)
    theirs = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(divergence(mean, log_variance), theirs)
