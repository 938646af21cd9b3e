"""Where the decoder looks while it writes."""

from __future__ import annotations

import numpy as np
import torch

from models.blocks import transcribe
from models.blocks.columns import over_pixels
from models.blocks.pixels import unit
from models.encoder_decoder.network import EncoderDecoder


@torch.no_grad()
def attention(model: EncoderDecoder, images_nhwc: np.ndarray) -> np.ndarray | None:
    """Return float32 [N, L, W]: the weight of each column of pixels at each symbol, the largest of each symbol being 1.

    None for a model without attention.

    Args:
        model: the network.
        images_nhwc: uint8 [N, H, W, C].
    """
    if model.attention is None:
        return None
    x_bchw = unit(torch.as_tensor(images_nhwc).to(next(model.parameters()).device))
    texts, _ = model.write(x_bchw, model.config.beams)
    memory, state = model.read(x_bchw)
    keys = model.attention.keys(memory)
    looked = []
    for symbols in transcribe.given(texts, model.end).unbind(dim=1):
        _, state, weights = model.step(symbols, state, memory, keys)
        looked.append(weights)
    return over_pixels(torch.stack(looked, dim=1), model.columns.stride, images_nhwc.shape[2])
