"""Walks through the space of codes, for pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.blocks import noise
from models.blocks.condition import asked
from models.blocks.interpolation import spherical
from models.vae.network import VAE
from models.vae.sample import render

ROWS, STEPS = 8, 10
REACH = 3.0
"""Standard deviations to which a number of the code goes."""


@torch.no_grad()
def interpolate(model: VAE, seed: int) -> np.ndarray:
    """Return uint8 [8, 10, H, W, C]: rows of walks between two codes, each of one class if conditional."""
    key = torch.tensor([seed], device=next(model.parameters()).device)
    ends = (noise.normal(key, ROWS, model.config.latents, stream=stream) for stream in (0, 1))
    return _rows(model, spherical(*ends, STEPS))


@torch.no_grad()
def traverse(model: VAE, seed: int) -> np.ndarray:
    """Return uint8 [N, 10, H, W, C]: in each row one number of a code of the prior goes from -3 to 3.

    Of at most 8 numbers, those that the decoder heeds the most: an autoencoder leaves some of them unused.
    """
    device = next(model.parameters()).device
    drawn = noise.normal(torch.tensor([seed], device=device), 1, model.config.latents)
    z = drawn.repeat(model.config.latents, STEPS, 1)
    number = torch.arange(model.config.latents, device=device)
    z[number, :, number] = torch.linspace(-REACH, REACH, STEPS, device=device)
    rows = _rows(model, z, turning=False)
    changed = np.abs(rows[:, 0].astype(np.float64) - rows[:, -1]).reshape(len(rows), -1).sum(axis=1)
    return rows[np.argsort(-changed, kind="stable")[:ROWS]]


def _rows(model: VAE, z: Tensor, turning: bool = True) -> np.ndarray:
    """Return uint8 [N, T, H, W, C] of z [N, T, Z]; a conditional model's rows are of every class in turn, or of one."""
    label = None
    if model.config.conditional:
        every = asked(torch.tensor([-1 if turning else 0], device=z.device), len(z), model.num_classes)
        label = every.repeat_interleave(z.shape[1])
    return render(model, z.flatten(0, 1), label).unflatten(0, z.shape[:2]).cpu().numpy()
