"""An image for each prompt and edge map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.blocks.pixels import picture
from models.controlnet.network import Controlled, shown
from models.text_to_image.sample import latents


class Generator(nn.Module):
    """What is exported: edge maps, captions and a seed in, images out, the whole loop and the decoder inside."""

    def __init__(self, model: Controlled) -> None:
        super().__init__()
        self.model = model
        self.steps = model.sampler()

    def forward(self, image: Tensor, prompt: Tensor, seed: Tensor) -> Tensor:
        """Map edge map uint8 [N, H, W, 1], prompt int64 [N, L] and seed int64 [1] to uint8 [N, H, W, C].

        The noise of image ``i`` follows from the seed and ``i``, so that the image does not depend on N.
        """
        asked, free = self.model.told(prompt)
        hint, strength = shown(self.model, image)
        # Guidance leads away from what the locked model draws of nothing, so that it strengthens map and caption alike.
        told = (*asked, hint, strength), (*free, hint, torch.zeros_like(strength))
        drawn = latents(self.model, self.steps, *told, seed)
        return picture(self.model.decode(drawn))


def graph(model: Controlled) -> Generator:
    """Return the module to export."""
    return Generator(model).eval()
