"""Transformer: encoders that read and decoders that write, of attention alone (Vaswani et al. 2017).

An encoder is self-attention and feed forward; a decoder looks at what it has written (self-attention), at what was read
(cross-attention), and feeds forward; after each part what came in is added, and the sum is normalised. While writing,
keys and values of what is already there are kept and not computed again.

Shapes: image uint8 [N, H, W, C] -> columns [N, W / 2, width], waves of their places added -> read, the same shape ->
symbols [N, L].
"""

from models.transformer.columns import attention
from models.transformer.config import Config
from models.transformer.fit import fit
from models.transformer.network import Transformer, build, graph

TASK = "transcription"

__all__ = ["TASK", "Config", "Transformer", "attention", "build", "fit", "graph"]
