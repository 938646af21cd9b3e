"""Recurrent encoder and decoder with attention between (Cho et al. 2014; Sutskever et al. 2014; Bahdanau et al. 2015).

The encoder reads the columns of an image in both directions; the decoder writes what it says, a symbol at a time. With
attention it looks at each step at the columns that matter for it. Without, all that is read must fit into one vector,
and what was read long ago is forgotten: the long-dependency problem that attention was made for.

Shapes: image uint8 [N, H, W, C] -> columns [N, W / 2, width] -> read [N, W / 2, 2 * width] -> symbols [N, L].
"""

from models.encoder_decoder.columns import attention
from models.encoder_decoder.config import Config
from models.encoder_decoder.fit import fit
from models.encoder_decoder.network import EncoderDecoder, build, graph

TASK = "transcription"

__all__ = ["TASK", "Config", "EncoderDecoder", "attention", "build", "fit", "graph"]
