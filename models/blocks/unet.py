"""The U-Net (Ronneberger et al. 2015) as diffusion models use it (Ho et al. 2020, appendix B).

Residual blocks at each of several resolutions, down and up again, each on the way up also given what a block of the
same resolution on the way down saw. A condition, such as the time, scales and shifts each block's features
(Dhariwal & Nichol 2021, "adaptive group normalization"); the coarsest places attend to each other, and to a sequence,
such as words, where there is one (Rombach et al. 2022, section 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.blocks.attention import MultiHeadAttention


class TimeEmbedding(nn.Module):
    """Times to features: sines and cosines of falling frequency (Vaswani et al. 2017, section 3.5), then two layers."""

    def __init__(self, width: int, slowest: float = 10_000) -> None:
        """Make features of ``width`` numbers; the slowest wave has a period of ``2 pi slowest``."""
        super().__init__()
        half = width // 4
        self.register_buffer("frequencies", slowest ** (-torch.arange(half) / half), persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * half, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, times: Tensor) -> Tensor:
        """Map [N] to [N, width]."""
        angles = times.float()[:, None] * self.frequencies
        return self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))


class ResidualBlock(nn.Module):
    """Norm, SiLU, 3x3 convolution, twice, added to the input; the condition modulates the second norm."""

    def __init__(self, width_in: int, width: int, condition: int, dropout: float = 0.0) -> None:
        """Make a block; ``condition`` 0 leaves the modulation out."""
        super().__init__()
        self.norm_in = _norm(width_in)
        self.conv_in = nn.Conv2d(width_in, width, 3, padding=1)
        self.modulation = nn.Linear(condition, 2 * width) if condition else None
        self.norm_out = _norm(width)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = zeroed(nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map [N, width_in, H, W] and an activated condition [N or 1, condition] to [N, width, H, W]."""
        h = self.norm_out(self.conv_in(functional.silu(self.norm_in(x))))
        if self.modulation is not None:
            scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return self.shortcut(x) + self.conv_out(self.dropout(functional.silu(h)))


class SpatialAttention(nn.Module):
    """``x + attention(norm(x))`` between all places of a feature map."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.attention = MultiHeadAttention(width, heads)
        zeroed(self.attention.out)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, width, H, W] to the same shape."""
        return x + self.attention(_places(self.norm(x))).transpose(1, 2).unflatten(2, x.shape[2:])


class CrossAttention(nn.Module):
    """``x + attention(norm(x), memory)``: each place of a feature map looks at a sequence."""

    def __init__(self, width: int, heads: int, memory: int) -> None:
        """Make one for a sequence of vectors of ``memory`` numbers."""
        super().__init__()
        self.norm = _norm(width)
        self.attention = MultiHeadAttention(width, heads, memory)
        zeroed(self.attention.out)

    def forward(self, x: Tensor, memory: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map [N, width, H, W] to the same shape; ``memory`` [N, S, memory] and ``padding`` bool [N, S]."""
        seen = self.attention(_places(self.norm(x)), memory, padding=padding)
        return x + seen.transpose(1, 2).unflatten(2, x.shape[2:])

    def map(self, x: Tensor, memory: Tensor, padding: Tensor | None = None) -> Tensor:
        """Return how much each place looks at each member of the sequence, [N, S, H, W]: the heads' mean."""
        maps = self.attention.map(_places(self.norm(x)), memory, padding=padding).mean(dim=1)
        return maps.transpose(1, 2).unflatten(2, x.shape[2:])


class Stage(nn.Module):
    """A residual block, and attention after it where it is asked for."""

    def __init__(
        self, width_in: int, width: int, condition: int, heads: int, dropout: float, memory: int = 0
    ) -> None:
        """Make a stage; ``heads`` 0 leaves the attention out, ``memory`` 0 that to a sequence."""
        super().__init__()
        self.block = ResidualBlock(width_in, width, condition, dropout)
        self.attention = SpatialAttention(width, heads) if heads else nn.Identity()
        self.cross_attention = CrossAttention(width, heads, memory) if heads and memory else None

    def forward(
        self, x: Tensor, condition: Tensor, memory: Tensor | None = None, padding: Tensor | None = None
    ) -> Tensor:
        """Map [N, width_in, H, W], a condition, and maybe a sequence, to [N, width, H, W]."""
        x = self.attention(self.block(x, condition))
        return x if self.cross_attention is None else self.cross_attention(x, memory, padding)


class UNet(nn.Module):
    """Feature maps and a condition to feature maps of the same size."""

    def __init__(
        self,
        channels: int,
        channels_out: int,
        *,
        widths: Sequence[int],
        depth: int,
        condition: int,
        heads: int,
        attention: int = 1,
        patch: int = 1,
        dropout: float = 0.0,
        memory: int = 0,
    ) -> None:
        """Make the network; before training it answers zero.

        Args:
            channels: of the input.
            channels_out: of the output.
            widths: features at each resolution, finest first; each halves the one before.
            depth: residual blocks at each resolution, on either way.
            condition: numbers in the condition.
            heads: of each attention.
            attention: at how many of the coarsest resolutions there is attention; the middle always has it.
            patch: side of the square of pixels that is one place of the finest resolution.
            dropout: probability of dropping a feature inside a residual block.
            memory: numbers in a vector of the sequence that all places with attention look at, too; 0 for none.
        """
        super().__init__()
        self.patch = patch
        kernel, stride, padding = (3, 1, 1) if patch == 1 else (patch, patch, 0)
        self.stem = nn.Conv2d(channels, widths[0], kernel, stride, padding)
        heads_of = [heads if level >= len(widths) - attention else 0 for level in range(len(widths))]
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            if level:
                self.shrink.append(nn.Conv2d(widths[level - 1], width, 3, stride=2, padding=1))
            stages = [Stage(width, width, condition, heads_of[level], dropout, memory) for _ in range(depth)]
            self.down.append(nn.ModuleList(stages))
        last = widths[-1]
        self.middle = nn.ModuleList(
            [Stage(last, last, condition, heads, dropout, memory), Stage(last, last, condition, 0, dropout)]
        )
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            stages = [
                Stage(2 * width, width, condition, heads_of[level], dropout, memory) for _ in range(depth)
            ]
            self.up.append(nn.ModuleList(stages))
            if level:
                self.grow.append(nn.Conv2d(width, widths[level - 1], 1))
        self.head = nn.Sequential(
            _norm(widths[0]),
            nn.SiLU(),
            zeroed(nn.Conv2d(widths[0], channels_out * patch**2, 3, padding=1)),
            nn.PixelShuffle(patch),
        )

    def forward(
        self, x: Tensor, condition: Tensor, memory: Tensor | None = None, padding: Tensor | None = None
    ) -> Tensor:
        """Return float [N, channels_out, H, W].

        Args:
            x: float [N, channels, H, W].
            condition: float [N or 1, condition].
            memory: float [N, S, memory], the sequence; None where there is none.
            padding: bool [N, S], True where the sequence is filling.
        """
        condition = functional.silu(condition)
        *seen, middle = self.encode(x, condition, memory, padding)
        return self.decode(middle, seen, condition, memory, padding)[:, :, : x.shape[2], : x.shape[3]]

    def encode(
        self,
        x: Tensor,
        condition: Tensor,
        memory: Tensor | None = None,
        padding: Tensor | None = None,
        hint: Tensor | None = None,
    ) -> list[Tensor]:
        """Return the features of each stage on the way down, finest first, and those of the middle.

        Args:
            x: as of :meth:`forward`.
            condition: as of :meth:`forward`, activated.
            memory: as of :meth:`forward`.
            padding: as of :meth:`forward`.
            hint: float, what is added to the features of the finest resolution before the first stage.
        """
        height, width = x.shape[2:]
        x = self.stem(functional.pad(x, (0, -width % self.patch, 0, -height % self.patch)))
        x = x if hint is None else x + hint
        seen = []
        for level, stages in enumerate(self.down):
            if level:
                x = self.shrink[level - 1](x)
            for stage in stages:
                x = stage(x, condition, memory, padding)
                seen.append(x)
        for stage in self.middle:
            x = stage(x, condition, memory, padding)
        return [*seen, x]

    def decode(
        self,
        x: Tensor,
        seen: Sequence[Tensor],
        condition: Tensor,
        memory: Tensor | None = None,
        padding: Tensor | None = None,
    ) -> Tensor:
        """Return float [N, channels_out, H, W], H and W multiples of the patch's side.

        Args:
            x: the features of the middle.
            seen: those of the way down, as :meth:`encode` gives them.
            condition: as of :meth:`forward`, activated.
            memory: as of :meth:`forward`.
            padding: as of :meth:`forward`.
        """
        seen = list(seen)
        for level, stages in enumerate(self.up):
            if level:
                x = functional.interpolate(self.grow[level - 1](x), size=seen[-1].shape[2:])
            for stage in stages:
                x = stage(torch.cat([x, seen.pop()], dim=1), condition, memory, padding)
        return self.head(x)


def _places(x: Tensor) -> Tensor:
    """Return a feature map [N, width, H, W] as a sequence of places [N, H W, width]."""
    return x.flatten(2).transpose(1, 2)


def _norm(width: int) -> nn.GroupNorm:
    """Return a group norm of 4 features a group, of at most 32 groups (Karras et al. 2022); fewer where it must be."""
    return nn.GroupNorm(math.gcd(width, min(32, max(1, width // 4))), width)


def zeroed(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """Return ``layer`` with zero weights: what it adds at first is nothing."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
