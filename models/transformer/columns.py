"""Where the decoders look while they write."""

from __future__ import annotations

import numpy as np
import torch

from models.blocks import transcribe
from models.blocks.columns import over_pixels
from models.blocks.pixels import unit
from models.transformer.network import Transformer


@torch.no_grad()
def attention(model: Transformer, images_nhwc: np.ndarray) -> np.ndarray:
    """Return float32 [N, L, W]: the weight of each column of pixels at each symbol, the largest of each symbol being 1.

    It is the mean over decoders and heads of what they look at; the encoders have already mixed the columns.

    Args:
        model: the network.
        images_nhwc: uint8 [N, H, W, C].
    """
    x_bchw = unit(torch.as_tensor(images_nhwc).to(next(model.parameters()).device))
    texts, _ = model.write(x_bchw, model.config.beams)
    x = model.symbols(transcribe.given(texts, model.end), model.places[: model.longest])
    looked = []
    for decoder, memory in zip(model.decoders, model.read(x_bchw), strict=True):
        x, weights = decoder.map(x, memory)
        looked.append(weights)
    return over_pixels(torch.stack(looked).mean(dim=0), model.columns.stride, images_nhwc.shape[2])
