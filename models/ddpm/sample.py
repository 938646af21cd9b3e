"""Reverse diffusion: new images from a seed, and pictures of how they come about."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.blocks import noise, samplers
from models.ddpm.network import Denoiser

STAGES = 8
"""Pictures in a row of a trajectory or an interpolation."""
ROWS = 10


class Generator(nn.Module):
    """What is exported of a model without classes: a seed in, that many images out, the whole loop inside."""

    def __init__(self, model: Denoiser) -> None:
        super().__init__()
        self.model = model
        self.steps = model.sampler(model.config.sampler, model.config.steps)

    def forward(self, seed: Tensor, count: Tensor) -> Tensor:
        """Map seed int64 [1] and count int64 [1] to uint8 [count, H, W, C]."""
        return render(self.draw(seed, noise.as_size(count), None))

    def draw(self, seed: Tensor, count: int, labels: Tensor | None, seen: list[Tensor] | None = None) -> Tensor:
        """Return float32 [count, C, H, W] of the classes int64 [count]; None for a model without classes.

        Each mixture on the way, of the same shape, is appended to ``seen``.
        """

        def fresh(number: Tensor, count: int) -> Tensor:
            return noise.normal(seed, count, self.model.dim, stream=number).unflatten(1, self.model.shape)

        def denoise(x: Tensor, time: Tensor) -> Tensor:
            if seen is not None:
                seen.append(x)
            return self.model.image(x, time, labels, self.model.config.guidance)

        start = fresh(torch.zeros_like(seed), count)
        return samplers.reverse(self.steps, denoise, lambda number, count: fresh(number + 1, count), start)


class ConditionalGenerator(Generator):
    """What is exported of a model with classes: one can be asked for."""

    def forward(self, seed: Tensor, count: Tensor, label: Tensor) -> Tensor:
        """Map seed, count and label int64 [1] to uint8 [count, H, W, C]; label -1 is every class in turn."""
        size = noise.as_size(count)
        turn = torch.arange(size, device=label.device) % self.model.num_classes
        return render(self.draw(seed, size, torch.where(label < 0, turn, label)))


def graph(model: Denoiser) -> Generator:
    """Return the module to export."""
    return (ConditionalGenerator if model.config.conditional else Generator)(model).eval()


@torch.no_grad()
def trajectory(model: Denoiser, seed: int) -> np.ndarray:
    """Return uint8 [N, T, H, W, C]: how each of N images comes out of noise, in T stages from noise to image.

    With classes, image ``i`` is of class ``i mod K``. The last stage is what the graph answers for this seed.
    """
    seen: list[Tensor] = []
    key = torch.tensor([seed], device=model.alpha.device)
    seen.append(graph(model).draw(key, ROWS, _in_turn(model, ROWS), seen))
    shown = torch.linspace(0, len(seen) - 1, min(STAGES, len(seen))).round().long()
    return torch.stack([render(seen[number]) for number in shown], dim=1).cpu().numpy()


@torch.no_grad()
def interpolate(model: Denoiser, seed: int) -> np.ndarray:
    """Return uint8 [N, T, H, W, C]: N rows, each from the image of one noise to that of another in T places.

    On the great circle between the two (Song et al. 2021, section 5.3), by the sampler without fresh noise. With
    classes, row ``i`` is of class ``i mod K``.
    """
    device = model.alpha.device
    ends = noise.normal(torch.tensor([seed], device=device), 2 * ROWS, model.dim).unflatten(0, (2, ROWS, 1))
    share = torch.linspace(0, 1, STAGES, device=device)[:, None]
    norms = ends.norm(dim=3, keepdim=True)
    angle = torch.arccos((ends[0] * ends[1]).sum(dim=2, keepdim=True) / (norms[0] * norms[1]))
    between = (((1 - share) * angle).sin() * ends[0] + (share * angle).sin() * ends[1]) / angle.sin()
    labels = _in_turn(model, ROWS)
    every = None if labels is None else labels.repeat_interleave(STAGES)
    images = samplers.reverse(
        model.sampler("dpm_solver", model.config.steps),
        lambda x, time: model.image(x, time, every, model.config.guidance),
        None,
        between.reshape(-1, *model.shape),
    )
    return render(images).unflatten(0, (ROWS, STAGES)).cpu().numpy()


def render(x_bchw: Tensor) -> Tensor:
    """Map [N, C, H, W] in [-1, 1], clipped to it, to uint8 [N, H, W, C]."""
    return torch.round(127.5 * (x_bchw.clamp(-1, 1) + 1)).permute(0, 2, 3, 1).to(torch.uint8)


def _in_turn(model: Denoiser, count: int) -> Tensor | None:
    if model.label is None:
        return None
    return torch.arange(count, device=model.alpha.device) % model.num_classes
