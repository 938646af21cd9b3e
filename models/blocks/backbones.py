"""Networks whose weights others have trained: EfficientNet-Lite0, and the classifiers of torchvision by their names.

A backbone gives the features that its own last layer would read: that layer is for other classes, and is cut off.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor, nn

from data.errors import nearest
from models.blocks.efficientnet_lite import EfficientNetLite0

LITE0 = "efficientnet_lite0"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of each channel by which torchvision's weights were trained."""
MIDDLE = ((127 / 255,) * 3, (128 / 255,) * 3)
"""Those of EfficientNet-Lite."""
OTHERS = frozenset(
    {"googlenet", "inception_v3", "maxvit_t", "squeezenet1_0", "squeezenet1_1"}
    | {"vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32"}
)
"""Of torchvision's classifiers: those with further outputs while they train, of one size of pictures, or whose last
layer is a convolution."""


def check(name: str) -> str:
    """Return the name of a backbone; torchvision is imported for any other than EfficientNet-Lite0's.

    Raises:
        ValueError: there is none of the name.
    """
    if name != LITE0 and name not in (known := names()):
        raise ValueError(f"no backbone {name!r}.{nearest(name, known)}")
    return name


Name = Annotated[str, AfterValidator(check)]
"""A setting that names one."""


class Backbone(nn.Module):
    """Images [N, C, H, W] in [0, 1], C of 1 or 3, to features [N, ``width``].

    Attributes:
        network: the named network without its last layer.
        head: the name of that layer in the network's weights.
        width: how many features there are.
    """

    def __init__(self, name: str) -> None:
        """Build the backbone ``name`` with random weights."""
        super().__init__()
        mean, std = MIDDLE if name == LITE0 else IMAGENET
        shape = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(mean).reshape(shape), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(shape), persistent=False)
        self.network = EfficientNetLite0() if name == LITE0 else _of_torchvision(name)
        self.head, last = [
            (path, module) for path, module in self.network.named_modules() if isinstance(module, nn.Linear)
        ][-1]
        self.width = last.in_features
        self.network.set_submodule(self.head, nn.Identity())

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the features."""
        return self.network((x_bchw - self.mean) / self.std)


def names() -> list[str]:
    """Return the names of all backbones."""
    from torchvision import models  # takes seconds

    return sorted({LITE0, *models.list_models(module=models)} - OTHERS)


def _of_torchvision(name: str) -> nn.Module:
    from torchvision import models

    return models.get_model(name, weights=None)
