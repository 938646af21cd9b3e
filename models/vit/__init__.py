"""Vision transformer (Dosovitskiy et al. 2021): an image as a sequence of patches, read by a transformer's encoder.

Shapes: image uint8 [N, H, W, C] -> patches [N, G * G, width], a class token before them, position embeddings added ->
encoder, the same shape -> the class token's place [N, width] -> logits [N, K].
"""

from models.blocks.classify import fit
from models.vit.config import Config
from models.vit.network import VisionTransformer, build, graph
from models.vit.rollout import attention

TASK = "classification"
PRETRAINED = True
VARIANTS = ("int8",)

__all__ = [
    "PRETRAINED",
    "TASK",
    "VARIANTS",
    "Config",
    "VisionTransformer",
    "attention",
    "build",
    "fit",
    "graph",
]
