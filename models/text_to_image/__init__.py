"""Images from captions by latent diffusion (Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion
Models"), which is Stable Diffusion's design.

An autoencoder learns to make images small. A diffusion model then learns the small ones: a U-Net whose places look at
the words of the caption by cross-attention, trained together with the transformer that reads them. Half of the work
is on what an eye would not miss, and all of the sampling is at the small size.

Shapes: prompt int64 [N, L] -> words [N, 1 + L, D]; noise [N, Z, h, w] -> U-Net, step by step -> latent [N, Z, h, w] ->
decoder -> image uint8 [N, H, W, C], where h and w are H and W halved once or more.
"""

from models.text_to_image.attention_maps import word_attention
from models.text_to_image.config import Config
from models.text_to_image.fit import fit
from models.text_to_image.network import LatentDiffusion, build
from models.text_to_image.sample import graph, reconstruct

TASK = "text_to_image"

__all__ = [
    "TASK",
    "Config",
    "LatentDiffusion",
    "build",
    "fit",
    "graph",
    "reconstruct",
    "word_attention",
]
