"""Variational autoencoder (Kingma & Welling 2014; Rezende et al. 2014).

An encoder gives ``q(z | x)``, a decoder a probability for each level of each pixel, ``p(x | z)``; both are trained
on the evidence lower bound, beta 1. The likelihood is measured by the importance-weighted bound (Burda et al. 2016).

Shapes: image uint8 [N, H, W, C] -> mean and log-variance [N, Z] each -> z [N, Z] -> logistic mixture per pixel.
"""

from models.vae.config import Config
from models.vae.fill_in import fill_in
from models.vae.fit import fit
from models.vae.interpolations import interpolate, traverse
from models.vae.likelihood import log_likelihood
from models.vae.network import VAE, build
from models.vae.sample import graph, reconstruct

TASK = "generation"

__all__ = [
    "TASK",
    "VAE",
    "Config",
    "build",
    "fill_in",
    "fit",
    "graph",
    "interpolate",
    "log_likelihood",
    "reconstruct",
    "traverse",
]
