"""Where a vision transformer looks: its attention rolled out onto the pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from models.blocks.pixels import unit
from models.vit.network import VisionTransformer


@torch.no_grad()
def attention(model: VisionTransformer, images_nhwc: np.ndarray) -> np.ndarray:
    """Return float32 [N, H, W]: the share that each pixel's patch has in the class token, the largest being 1.

    Args:
        model: the network.
        images_nhwc: uint8 [N, H, W, C].
    """
    device = next(model.parameters()).device
    flow = model.encoder.rollout(model.tokens(unit(torch.as_tensor(images_nhwc).to(device))))
    patches = flow[:, 0, 1:].unflatten(1, model.embed.grid)
    patches = patches / patches.amax(dim=(1, 2), keepdim=True)
    pixels = functional.interpolate(patches[:, None], scale_factor=model.embed.patch, mode="nearest")[:, 0]
    _, height, width, _ = images_nhwc.shape
    return pixels[:, :height, :width].cpu().numpy()
