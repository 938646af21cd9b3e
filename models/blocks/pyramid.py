"""What a backbone sees at each size: the maps that models of pixels read, where classifiers read their mean.

A picture is halved five times, by some networks twice at once; the last that is computed at each size is its map (Lin
et al. 2017, "Feature pyramid networks", section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor, nn
from torch.nn import functional

from data.errors import nearest
from models.blocks import backbones
from models.blocks.backbones import Backbone
from models.blocks.efficientnet_lite import EfficientNetLite0

HALVINGS = 5
STRIDE = 2**HALVINGS
MAPLESS = ("alexnet", "swin")
"""What the names of networks begin with that halve a picture in other ways, or whose maps have their channels last."""


def check(name: str) -> str:
    """Return the name of a backbone that has maps.

    Raises:
        ValueError: there is none of the name, or it has none.
    """
    if backbones.check(name).startswith(MAPLESS):
        near = nearest(name, [known for known in backbones.names() if not known.startswith(MAPLESS)])
        raise ValueError(f"the backbone {name!r} has no maps, each half the one before.{near}")
    return name


Name = Annotated[str, AfterValidator(check)]
"""A setting that names one."""


class Pyramid(Backbone):
    """Images [N, C, H, W] in [0, 1], C of 1 or 3, to maps, each half the one before or less.

    Sides that 32 does not divide are filled up with the mean colour, on the right and below.

    Attributes:
        halvings: how often the picture is halved for each map; the last time five times.
        widths: channels of each map.
    """

    def __init__(self, name: str) -> None:
        """Build the backbone ``name`` with random weights."""
        super().__init__(name)
        training = self.training
        with torch.no_grad():
            seen = list(self.eval()._each(torch.zeros(1, 3, 2 * STRIDE, 2 * STRIDE)))
        self.train(training)
        last = {x.shape[-1]: place for place, x in enumerate(seen)}
        self.halvings = tuple(times for times in range(1, HALVINGS + 1) if 2 * STRIDE >> times in last)
        self._kept = [last[2 * STRIDE >> times] for times in self.halvings]
        self.widths = tuple(seen[place].shape[1] for place in self._kept)

    def forward(self, x_bchw: Tensor) -> list[Tensor]:
        """Return the maps; that of the last halving is [N, width, ceil(H / 32), ceil(W / 32)]."""
        x = (x_bchw - self.mean) / self.std
        height, width = x.shape[2:]
        filled = functional.pad(x, (0, -width % STRIDE, 0, -height % STRIDE))
        return [seen for place, seen in enumerate(self._each(filled)) if place in self._kept]

    def _each(self, x: Tensor) -> Iterator[Tensor]:
        """Yield what each part of the network makes of standardised pictures."""
        for part in _parts(self.network):
            x = part(x)
            yield x


def _parts(network: nn.Module) -> list[Callable[[Tensor], Tensor]]:
    """Return what comes before the mean over the picture, each to be given what the one before it returns.

    That is what torchvision's classifiers register before their pooling and their last layers, in this order.
    """
    if isinstance(network, EfficientNetLite0):
        return network.parts()
    parts: list[nn.Module] = []
    for name, module in network.named_children():
        if name in ("avgpool", "classifier", "fc"):
            break
        parts += _opened(module)
    return parts


def _opened(module: nn.Module) -> list[nn.Module]:
    if type(module).forward is not nn.Sequential.forward:
        return [module]
    return [part for inner in module for part in _opened(inner)]
