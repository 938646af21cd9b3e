"""DETR: detection as the prediction of a set (Carion et al. 2020, arXiv:2005.12872), with what made it train fast.

A convolutional backbone and a transformer's encoder read the picture; queries, one an object at most, look at it in a
transformer's decoder, and each answers with a class and a box. Hungarian matching tells each object its query, so that
nothing has to be suppressed afterwards.

Shapes: image uint8 [N, H, W, C] -> backbone [N, C', h, w] -> cells [N, h * w, width] -> queries [N, Q, width] ->
logits [N, Q, K] and boxes [N, Q, 4]. Where ``base`` is an RT-DETR of transformers, that
network is in the place of ours.
"""

from models.detr.attention_maps import query_attention
from models.detr.config import Config
from models.detr.detector import Detector, graph
from models.detr.fit import fit
from models.detr.network import Detr
from models.detr.networks import build
from models.detr.rt_detr import RtDetr

TASK = "detection"
PRETRAINED = True

__all__ = [
    "PRETRAINED",
    "TASK",
    "Config",
    "Detector",
    "Detr",
    "RtDetr",
    "build",
    "fit",
    "graph",
    "query_attention",
]
