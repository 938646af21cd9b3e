"""Low-rank adapters on the attention of a trained text-to-image model (Hu et al. 2021, "LoRA: Low-Rank Adaptation of
Large Language Models").

Beside each projection ``W x`` of the U-Net's attentions goes ``(alpha / rank) B A x``, with A of ``rank`` rows and B
of as many columns. Only A and B are trained, one or two numbers in a hundred of all, and the vectors of words that the
model did not know. B starts at zero, so that at first nothing is changed, and in the end the product is added to W:
what is exported is as large and as fast as before.

Shapes: as of ``text_to_image``, whose checkpoint it starts from: prompt int64 [N, L] -> image uint8 [N, H, W, C].
"""

from models.lora.config import Config
from models.lora.folder import save_pretrained
from models.lora.network import build, fit, graph, start
from models.text_to_image.attention_maps import word_attention
from models.text_to_image.sample import reconstruct

TASK = "text_to_image"
BASE = "text_to_image"

__all__ = [
    "BASE",
    "TASK",
    "Config",
    "build",
    "fit",
    "graph",
    "reconstruct",
    "save_pretrained",
    "start",
    "word_attention",
]
