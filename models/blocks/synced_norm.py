"""Batch normalization by the mean and variance of the whole batch, where ranks have a part of it each.

PyTorch's ``SyncBatchNorm`` does the same, on a GPU only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models import ranks


@contextmanager
def across_ranks(model: nn.Module) -> Iterator[None]:
    """Let the batch norms of ``model`` see the whole batch while they train, for the block.

    They change their class and nothing else, whoever's network they are a part of: weights and names stay.
    """
    norms = (
        [module for module in model.modules() if isinstance(module, _BatchNorm)] if ranks.count() > 1 else []
    )
    kinds = [type(norm) for norm in norms]
    for norm in norms:
        norm.__class__ = SyncedNorm
    try:
        yield
    finally:
        for norm, kind in zip(norms, kinds, strict=True):
            norm.__class__ = kind


class SyncedNorm(_BatchNorm):
    """A batch norm whose statistics are those of all ranks' rows together."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, ...] to itself."""
        if not self.training:
            return super().forward(x)
        others = [axis for axis in range(x.ndim) if axis != 1]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        size = x.numel() // x.shape[1]
        mean = wide.mean(dim=others)
        spread = (wide - _over(mean, x)).square().sum(dim=others)
        # Of each rank its own row, zeros elsewhere: their sum is all of them, with one message.
        place = torch.arange(ranks.count(), device=x.device) == ranks.number()
        own = torch.stack([mean, spread, torch.full_like(mean, size)])
        means, spreads, sizes = ranks.Sum.apply(place[:, None, None] * own).unbind(dim=1)
        whole = sizes.sum(dim=0)
        # Chan et al. 1979: mean squares minus squared means would lose what is small beside the mean.
        mean = (sizes * means).sum(dim=0) / whole
        squares = (spreads + sizes * (means - mean).square()).sum(dim=0)
        variance = squares / whole
        self._remember(mean.detach(), (squares / (whole - 1)).detach())
        result = (wide - _over(mean, x)) * _over((variance + self.eps).rsqrt(), x)
        if self.affine:
            result = result * _over(self.weight, x) + _over(self.bias, x)
        return result.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)

    def _check_input_dim(self, _: Tensor) -> None:
        """Take any: the class that it had before did look."""


def _over(values_c: Tensor, x: Tensor) -> Tensor:
    return values_c.view(1, -1, *[1] * (x.ndim - 2))
