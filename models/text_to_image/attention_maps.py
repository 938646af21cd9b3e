"""Where each word looks: how much the places of the image took of each word while it came about."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.blocks.unet import CrossAttention
from models.text_to_image.network import LatentDiffusion
from models.text_to_image.sample import Generator


@torch.no_grad()
def word_attention(model: LatentDiffusion, tokens: np.ndarray, seed: int) -> np.ndarray:
    """Return float32 [N, L, H, W]: for each word of each caption, how much each pixel looked at it; the most is 1.

    The mean over the steps, the U-Net's attentions and their heads (Tang et al. 2023, "What the DAAM", section 3), from
    the pass with the caption. The images are those that the graph answers. Padding has zeros.

    Args:
        model: the trained model.
        tokens: int64 [N, L].
        seed: of the images.
    """
    device = model.alpha.device
    prompt = torch.as_tensor(tokens).to(device)
    maps: list[Tensor] = []

    def look(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen = layer.map(*given)[: len(prompt), 1:]
        maps.append(functional.interpolate(seen, size=model.autoencoder.size, mode="bilinear"))

    layers = [layer for layer in model.unet.modules() if isinstance(layer, CrossAttention)]
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        Generator(model).eval().draw(prompt, torch.tensor([seed], device=device))
    finally:
        for handle in handles:
            handle.remove()
    mean = torch.stack(maps).mean(dim=0)
    return (mean / mean.amax(dim=(2, 3), keepdim=True).clamp(min=1e-12)).cpu().numpy()
