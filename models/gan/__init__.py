"""Generative adversarial network (Goodfellow et al. 2014).

A generator makes images of noise; a discriminator learns to tell them from real ones, and through its gradient the
generator learns to pass for real. As that goes well, the discriminator gets worse at telling the two apart: its
accuracy on real and on generated images is in the history. Told the class, both become conditional (Mirza &
Osindero 2014), the discriminator by projection (Miyato & Koyama 2018).

Shapes: noise [N, Z] (and the class's embedding [N, Z]) -> image [N, C, H, W] in [0, 1] -> score [N].
"""

from models.gan.config import Config
from models.gan.fit import fit
from models.gan.network import GAN, build
from models.gan.sample import graph, interpolate

TASK = "generation"

__all__ = ["GAN", "TASK", "Config", "build", "fit", "graph", "interpolate"]
