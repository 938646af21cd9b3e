"""Denoising diffusion (Ho et al. 2020; Sohl-Dickstein et al. 2015).

Forward diffusion adds noise to an image little by little until nothing else is left; a U-Net learns to tell the noise
from the image at every time; reverse diffusion starts from noise and takes it away, by the ancestral sampler, DDIM
(Song et al. 2021) or DPM-Solver++ (Lu et al. 2022). A class is asked for by guidance without a classifier (Ho &
Salimans 2022).

Shapes: image uint8 [N, H, W, C] -> [-1, 1] [N, C, H, W] -> mixture at time t -> U-Net -> v or noise [N, C, H, W].
"""

from models.ddpm.config import Config
from models.ddpm.fill_in import fill_in
from models.ddpm.fit import fit
from models.ddpm.network import Denoiser, build
from models.ddpm.sample import graph
from models.ddpm.trajectory import interpolate, trajectory

TASK = "generation"

__all__ = ["TASK", "Config", "Denoiser", "build", "fill_in", "fit", "graph", "interpolate", "trajectory"]
