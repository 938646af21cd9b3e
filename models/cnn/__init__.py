"""Convolutional network: residual blocks of 3x3 convolutions, wide rather than deep.

LeCun et al. 1998; He et al. 2016, "Identity mappings in deep residual networks"; Zagoruyko & Komodakis 2016.

Shapes: image uint8 [N, H, W, C] -> stem [N, w0, H, W] -> stages, each after the first halving the picture and
widening it -> mean over the picture [N, w_last] -> logits [N, K]. With ``backbone`` a network of torchvision, or
EfficientNet-Lite0, is in the place of stem and stages.
"""

from models.blocks.classify import fit
from models.cnn.config import Config
from models.cnn.network import ResNet, Transferred, build, graph

TASK = "classification"
PRETRAINED = True
VARIANTS = ("int8",)

__all__ = ["PRETRAINED", "TASK", "VARIANTS", "Config", "ResNet", "Transferred", "build", "fit", "graph"]
