"""The forward process: schedules as diffusers has them, and what a network answers means the image it was made of."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.blocks import diffusion
from models.blocks.diffusion import Schedule

DIFFUSERS = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


@pytest.mark.parametrize("name", DIFFUSERS)
def test_schedules_equal_diffusers(name):
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    theirs = DDPMScheduler(1000, beta_schedule=DIFFUSERS[name])
    ours = Schedule(name, 1000)
    torch.testing.assert_close(ours.alpha_bar.float(), theirs.alphas_cumprod, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", DIFFUSERS)
def test_mixtures_and_velocities_equal_diffusers(name):
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    schedule, theirs = Schedule(name, 1000), DDPMScheduler(1000, beta_schedule=DIFFUSERS[name])
    image, noise = torch.randn(2, 5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([0, 1, 500, 998, 999])
    alpha, sigma = (rate[times].float().reshape(-1, 1, 1, 1) for rate in (schedule.alpha, schedule.sigma))
    mixture = diffusion.diffuse(image, noise, alpha, sigma)
    velocity = diffusion.target("v", image, noise, alpha, sigma)
    # diffusers takes the square root of 1 - alpha_bar in float32, which loses digits where alpha_bar is near 1.
    torch.testing.assert_close(mixture, theirs.add_noise(image, noise, times), atol=1e-5, rtol=0)
    torch.testing.assert_close(velocity, theirs.get_velocity(image, noise, times), atol=1e-5, rtol=0)


@given(name=st.sampled_from(["linear", "cosine"]), times=st.integers(1, 2000))
def test_signal_falls_and_stays_between_zero_and_one(name, times):
    schedule = Schedule(name, times)
    assert len(schedule) == times
    assert (schedule.alpha_bar > 0).all()
    assert (schedule.alpha_bar < 1).all()
    assert (schedule.alpha_bar.diff() < 0).all()
    torch.testing.assert_close(schedule.alpha**2 + schedule.sigma**2, torch.ones(times, dtype=torch.float64))


@pytest.mark.parametrize("times", [100, 250, 4000])
def test_a_schedule_of_other_length_ends_in_the_same_noise(times):
    for name in DIFFUSERS:
        log_ends = [Schedule(name, number).alpha_bar[-1].log() for number in (1000, times)]
        assert abs(log_ends[1] / log_ends[0] - 1) < (0.2 if name == "linear" else 0.3)


@given(
    prediction=st.sampled_from(["epsilon", "v"]),
    name=st.sampled_from(["linear", "cosine"]),
    time=st.integers(0, 99),
    seed=st.integers(0, 1000),
)
def test_the_right_answer_implies_the_image(prediction, name, time, seed):
    schedule = Schedule(name, 100)
    alpha, sigma = schedule.alpha[time], schedule.sigma[time]
    image, noise = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mixture = diffusion.diffuse(image, noise, alpha, sigma)
    answer = diffusion.target(prediction, image, noise, alpha, sigma)
    torch.testing.assert_close(diffusion.clean(prediction, answer, mixture, alpha, sigma), image)
