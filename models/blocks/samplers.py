"""Reverse diffusion: from noise to an image in a few or many steps.

Every sampler here is linear. A step at time ``t`` goes on from the mixture ``x``, the clean image ``x0`` that the
network makes of it, the one that it made a step before, and fresh noise:

    x  <-  a x + b x0 + c x0_before + d noise

so a sampler is a table of ``a, b, c, d`` for each step, and one loop serves all. The last step ends in ``x0`` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.blocks.diffusion import Schedule

SamplerName = Literal["ancestral", "ddim", "dpm_solver"]

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(mixture float32 [N, C, H, W], time int64 [1]) -> clean image as it is estimated, of the mixture's shape."""
Draw = Callable[[Tensor, int], Tensor]
"""(number of the step, int64 [1], N) -> standard normal noise float32 [N, C, H, W]."""


@dataclass(frozen=True)
class Sampler:
    """A reverse process.

    Attributes:
        times: int64 [S], falling: where the network is asked.
        weights: float64 [S, 4]: ``a, b, c, d`` of each step.
        random: whether fresh noise enters, or only that from which it starts.
    """

    times: Tensor
    weights: Tensor
    random: bool

    def __len__(self) -> int:
        return len(self.times)


def sampler(name: SamplerName, schedule: Schedule, steps: int) -> Sampler:
    """Return the reverse process of ``schedule`` in ``steps`` steps, at most as many as it has times.

    - ``ancestral``: draws from the posterior ``q(x_s | x_t, x_0)`` with its variance (Ho et al. 2020, equations 6 and
      7); on fewer steps, that of the shortened process (Nichol & Dhariwal 2021, section 4).
    - ``ddim``: the same marginals without fresh noise (Song et al. 2021, equation 12, eta 0).
    - ``dpm_solver``: second order, from this step's clean image and the last one's: DPM-Solver++(2M) (Lu et al. 2022b,
      algorithm 2). The first and the last step are of first order, which is DDIM's.

    Times are evenly spaced and start at the last, where there is noise alone (Lin et al. 2024, "Common Diffusion Noise
    Schedules and Sample Steps are Flawed", section 3.3).
    """
    times = (len(schedule) * (1 - torch.arange(steps, dtype=torch.float64) / steps)).round().long() - 1
    now = schedule.alpha_bar[times]
    after = torch.cat([now[1:], torch.ones(1, dtype=torch.float64)])
    weights = {"ancestral": _ancestral, "ddim": _ddim, "dpm_solver": _dpm_solver}[name](now, after)
    return Sampler(times, weights, random=name == "ancestral")


def reverse(steps: Sampler, denoise: Denoise, draw: Draw | None, x: Tensor) -> Tensor:
    """Return the images float32 [N, C, H, W] that the noise ``x`` of that shape becomes.

    A sampler that is not random never calls ``draw``.
    In an exported graph it is a loop of one network, however many steps there are.
    """
    times, weights = steps.times.to(x.device), steps.weights.to(x.device, torch.float32)

    def step(number: Tensor, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        place = number.reshape(1)
        image = denoise(x, times.index_select(0, place))
        a, b, c, d = weights.index_select(0, place)[0].unbind()
        x = a * x + b * image + c * before
        if steps.random:
            x = x + d * draw(place, x.shape[0])
        return number + 1, x, image

    state = torch.zeros((), dtype=torch.int64, device=x.device), x, torch.zeros_like(x)
    if torch.compiler.is_exporting():
        total = len(steps)
        return torch.while_loop(lambda number, *_: number < total, step, state)[1]
    for _ in range(len(steps)):  # outside of an export, PyTorch's own loop would be compiled first
        state = step(*state)
    return state[1]


def _ancestral(now: Tensor, after: Tensor) -> Tensor:
    """Return the table [S, 4]; ``now`` [S] is ``alpha_bar`` at each step's time and ``after`` [S] at the next one."""
    kept = now / after
    a = kept.sqrt() * (1 - after) / (1 - now)
    b = after.sqrt() * (1 - kept) / (1 - now)
    d = ((1 - after) / (1 - now) * (1 - kept)).sqrt()
    return torch.stack([a, b, torch.zeros_like(a), d], dim=1)


def _ddim(now: Tensor, after: Tensor) -> Tensor:
    a = ((1 - after) / (1 - now)).sqrt()
    b = after.sqrt() - now.sqrt() * a
    return torch.stack([a, b, torch.zeros_like(a), torch.zeros_like(a)], dim=1)


def _dpm_solver(now: Tensor, after: Tensor) -> Tensor:
    """As DDIM, with the clean image extrapolated to the middle of the step, in ``log(alpha / sigma)``."""
    a, b, c, d = _ddim(now, after).unbind(1)
    log_ratio = 0.5 * torch.logit(now)
    length = log_ratio.diff()
    beyond = torch.zeros_like(b)
    beyond[1:-1] = 0.5 * length[1:] / length[:-1]
    return torch.stack([a, b * (1 + beyond), c - b * beyond, d], dim=1)
