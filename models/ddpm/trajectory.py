"""Pictures of how images come about: the stages of the reverse process, and what lies between two images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.blocks import noise, samplers
from models.blocks.condition import asked
from models.blocks.interpolation import spherical
from models.blocks.pixels import picture
from models.ddpm.network import Denoiser
from models.ddpm.sample import graph

STAGES = 8
"""Pictures in a row."""
ROWS = 10


@torch.no_grad()
def trajectory(model: Denoiser, seed: int) -> np.ndarray:
    """Return uint8 [N, T, H, W, C]: how each of N images comes out of noise, in T stages from noise to image.

    With classes, image ``i`` is of class ``i mod K``. The last stage is what the graph answers for this seed.
    """
    mixtures: list[Tensor] = []
    key = torch.tensor([seed], device=model.alpha.device)
    image = graph(model).draw(key, ROWS, _in_turn(model, ROWS), mixtures)
    stages = [*mixtures, image]
    shown = torch.linspace(0, len(stages) - 1, min(STAGES, len(stages))).round().long()
    return torch.stack([picture(stages[number]) for number in shown], dim=1).cpu().numpy()


@torch.no_grad()
def interpolate(model: Denoiser, seed: int) -> np.ndarray:
    """Return uint8 [N, T, H, W, C]: N rows, each from the image of one noise to that of another in T places.

    On the great circle between the two (Song et al. 2021, section 5.3), by the sampler without fresh noise. With
    classes, row ``i`` is of class ``i mod K``.
    """
    key = torch.tensor([seed], device=model.alpha.device)
    ends = noise.normal(key, 2 * ROWS, model.dim).chunk(2)
    between = spherical(*ends, STAGES).reshape(-1, *model.shape)
    labels = _in_turn(model, ROWS)
    every = None if labels is None else labels.repeat_interleave(STAGES)
    images = samplers.reverse(
        model.sampler("dpm_solver", model.config.steps),
        lambda x, time: model.estimate(x, time, every, model.config.guidance),
        None,
        between,
    )
    return picture(images).unflatten(0, (ROWS, STAGES)).cpu().numpy()


def _in_turn(model: Denoiser, count: int) -> Tensor | None:
    if model.label is None:
        return None
    return asked(torch.tensor([-1], device=model.alpha.device), count, model.num_classes)
