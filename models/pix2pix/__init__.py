"""Image-to-image translation with a conditional adversarial network, pix2pix (Isola et al. 2017, arXiv:1611.07004).

A U-Net makes an image of the input; a discriminator judges, patch by patch, whether an image goes with its input. The
generator is also held to the right image by the L1 distance, which settles the coarse; the discriminator the fine.

The paper's noise, dropout, acts in training alone: an answer follows from its input.

Shapes: image uint8 [N, H, W, C_in] -> U-Net -> translated uint8 [N, H, W, C].
"""

from models.pix2pix.config import Config
from models.pix2pix.fit import fit
from models.pix2pix.network import Pix2Pix, build, graph

TASK = "translation"

__all__ = ["TASK", "Config", "Pix2Pix", "build", "fit", "graph"]
