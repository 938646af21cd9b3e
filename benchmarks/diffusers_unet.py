"""diffusers' U-Net of about as many parameters as ours, for the benchmarks against it."""

from __future__ import annotations

from diffusers import UNet2DModel
from torch import nn

from data.prepared import DataSpec

WIDTHS = range(8, 512, 4)


def parameters(module: nn.Module) -> int:
    """Return how many numbers are learnt."""
    return sum(parameter.numel() for parameter in module.parameters())


def nearest_unet(spec: DataSpec, levels: int, wanted: int, classes: int | None = None) -> UNet2DModel:
    """Return the network whose parameters are nearest to ``wanted`` in number.

    Each of the ``levels`` resolutions has a residual block down and two up and twice the features of the one before,
    the coarsest also attention: its own defaults but for the size. With ``classes`` it is told the class.
    """

    def build(width: int) -> UNet2DModel:
        return UNet2DModel(
            sample_size=spec.height,
            in_channels=spec.channels,
            out_channels=spec.channels,
            block_out_channels=tuple(width * 2**level for level in range(levels)),
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=width * 2 ** (levels - 1) // 4,
            down_block_types=("DownBlock2D",) * (levels - 1) + ("AttnDownBlock2D",),
            up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
            num_class_embeds=classes,
        )

    least = None
    for width in WIDTHS:
        network = build(width)
        distance = abs(parameters(network) - wanted)
        if least is not None and distance > least[0]:
            break
        least = distance, network
    return least[1]
