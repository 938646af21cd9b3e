"""Where each query looks: the cross-attention of the last decoder layer, laid over the picture (DETR, figure 6)."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from models.blocks.pixels import unit
from models.detr.network import Detr
from models.detr.rt_detr import RtDetr


@torch.no_grad()
def query_attention(model: Detr | RtDetr, images_nhwc: np.ndarray) -> np.ndarray | None:
    """Return float32 [N, Q, H, W]: where each query looks, the mean of the heads, the largest of each map being 1.

    None of an RT-DETR: its queries look at single points.

    Args:
        model: the network, in evaluation mode.
        images_nhwc: uint8 [N, H, W, C].
    """
    if isinstance(model, RtDetr):
        return None
    x_bchw = unit(torch.as_tensor(images_nhwc).to(next(model.parameters()).device))
    seen = model.see(x_bchw)
    maps = model.decoder.looks(seen.content, seen.anchors, seen.memory, seen.grid).mean(dim=1)
    maps = maps / maps.amax(dim=2, keepdim=True)
    grid = maps.unflatten(2, seen.grid)
    return functional.interpolate(grid, size=x_bchw.shape[2:], mode="nearest").cpu().numpy()
