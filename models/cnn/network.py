"""The residual network: pre-activation blocks (He et al. 2016, "Identity mappings", figure 4e)."""

from __future__ import annotations

from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks.backbones import Backbone
from models.blocks.dropout import Dropout
from models.blocks.fine_tuning import Transferable
from models.blocks.pixels import ClassifierGraph, Standardise
from models.cnn.config import Config


class Block(nn.Module):
    """BN, ReLU, 3x3 convolution, twice, added to the input; ``stride`` 2 halves the picture."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(width_in), nn.ReLU())
        self.residual = nn.Sequential(
            nn.Conv2d(width_in, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
        )
        same = stride == 1 and width_in == width
        self.shortcut = None if same else nn.Conv2d(width_in, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, width_in, H, W] to [N, width, H / stride, W / stride]."""
        active = self.first(x)
        return self.residual(active) + (x if self.shortcut is None else self.shortcut(active))


class ResNet(Transferable):
    """Images [N, C, H, W] in [0, 1] to logits [N, K]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        stride = config.stem_stride if min(spec.height, spec.width) >= 16 else 1
        layers: list[nn.Module] = [nn.Conv2d(spec.channels, config.widths[0], 3, stride, 1, bias=False)]
        width_in = config.widths[0]
        for stage, width in enumerate(config.widths):
            for block in range(config.depth):
                layers.append(Block(width_in, width, stride=2 if stage and not block else 1))
                width_in = width
        self.standardise = Standardise(spec)
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(width_in), nn.ReLU())
        self.classify = nn.Sequential(Dropout(config.dropout), nn.Linear(width_in, spec.num_classes))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        return self.classify(self.features(self.standardise(x_bchw)).mean(dim=(2, 3)))


class Transferred(Transferable):
    """A backbone that others have trained, and a new last layer: images [N, C, H, W] in [0, 1] to logits [N, K]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.features = Backbone(config.backbone)
        self.classify = nn.Sequential(
            Dropout(config.dropout), nn.Linear(self.features.width, spec.num_classes)
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        return self.classify(self.features(x_bchw))


def build(config: Config, spec: DataSpec) -> ResNet | Transferred:
    """Return the network with random weights."""
    return ResNet(config, spec) if config.backbone is None else Transferred(config, spec)


def graph(model: ResNet | Transferred) -> ClassifierGraph:
    """Return the module to export: uint8 [N, H, W, C] to probabilities [N, K]."""
    return ClassifierGraph(model).eval()
