"""Batch normalization by the mean and variance of the whole batch, where ranks have a part of it each.

PyTorch's ``SyncBatchNorm`` does the same, on a GPU only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
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
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.affine:
            weight, bias = self.weight, self.bias
        else:
            weight, bias = wide.new_ones(self.num_features), wide.new_zeros(self.num_features)
        result, mean, variance = _Normalize.apply(wide, weight, bias, self.eps)
        self._remember(mean, variance)
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


class _Normalize(torch.autograd.Function):
    """Normalization of [N, C, ...] by all ranks' statistics, by the kernels of a batch norm with known statistics.

    Out of single operations it takes several times as long.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the normalized ``x``, and mean and unbiased variance [C] of the whole batch."""
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        size = torch.full_like(mean, x.numel() // x.shape[1])
        means, variances, sizes = ranks.stacked(torch.stack([mean, variance, size])).unbind(dim=1)
        whole = sizes.sum(dim=0)
        # Chan et al. 1979: mean squares minus squared means would lose what is small beside the mean.
        mean = (sizes * means).sum(dim=0) / whole
        squares = (sizes * (variances + (means - mean).square())).sum(dim=0)
        variance = squares / whole
        ctx.save_for_backward(x, weight, mean, variance, whole)
        ctx.eps = eps
        spread = squares / (whole - 1)
        ctx.mark_non_differentiable(mean, spread)
        return functional.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, spread

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients (Ioffe & Szegedy 2015, section 3); those of weight and bias are of this rank's rows."""
        x, weight, mean, variance, whole = ctx.saved_tensors
        straight, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        by_weight, by_bias = ranks.total(torch.stack([of_weight, of_bias])) / whole
        inverse = (variance + ctx.eps).rsqrt()
        slope = -weight * inverse.square() * by_weight
        constant = -weight * inverse * by_bias - slope * mean
        return torch.addcmul(straight, x, _over(slope, x)).add_(_over(constant, x)), of_weight, of_bias, None


def _over(values_c: Tensor, x: Tensor) -> Tensor:
    return values_c.view(1, -1, *[1] * (x.ndim - 2))
