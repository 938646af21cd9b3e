"""The reverse process: every step as diffusers' schedulers take it, the loop, and its ONNX graph."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.blocks import diffusion, noise, samplers
from models.blocks.diffusion import Schedule

SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
PREDICTIONS = {"epsilon": "epsilon", "v": "v_prediction"}
SHAPE = (2, 1, 3, 3)


def theirs(name: str, schedule: str, prediction: str, steps: int):
    """Return diffusers' scheduler of the same process, on our float64 in place of its own float32."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    kind = {"ancestral": DDPMScheduler, "ddim": DDIMScheduler, "dpm_solver": DPMSolverMultistepScheduler}[
        name
    ]
    known = {
        "beta_schedule": SCHEDULES[schedule],
        "prediction_type": PREDICTIONS[prediction],
        "timestep_spacing": "trailing",
    }
    made = kind(1000, **known, **({} if name == "dpm_solver" else {"clip_sample": False}))
    made.alphas_cumprod = Schedule(schedule, 1000).alpha_bar
    made.set_timesteps(steps)
    return made


def answer(x: Tensor, time: Tensor) -> Tensor:
    """Stands for a network: smooth, bounded, different at each time."""
    return torch.tanh(x * (1 + time / 1000) - 0.3)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of diffusers with NumPy 2
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [5, 20, 1000])
@pytest.mark.parametrize("name", ["ancestral", "ddim", "dpm_solver"])
def test_each_step_equals_diffusers(name, steps, schedule, prediction):
    scheduler, process = theirs(name, schedule, prediction, steps), Schedule(schedule, 1000)
    ours = samplers.sampler(name, process, steps)
    assert ours.times.tolist() == scheduler.timesteps.tolist()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    before = torch.zeros_like(x)
    for number, time in enumerate(ours.times):
        drawn = torch.randn(SHAPE, generator=generator.clone_state(), dtype=torch.float64)
        said = answer(x, time)
        known = {"generator": generator} if name == "ancestral" else {}
        right = scheduler.step(said, time, x, **known).prev_sample
        image = diffusion.clean(prediction, said, x, process.alpha[time], process.sigma[time])
        a, b, c, d = ours.weights[number]
        mixed = a * x + b * image + c * before + d * drawn
        torch.testing.assert_close(mixed, right, atol=1e-6, rtol=1e-6)
        x, before = mixed, image


@settings(deadline=None)
@given(
    name=st.sampled_from(["ancestral", "ddim", "dpm_solver"]),
    schedule=st.sampled_from(["linear", "cosine"]),
    times=st.integers(1, 300),
    share=st.floats(0, 1),
)
def test_any_number_of_steps_starts_in_noise_and_ends_in_the_clean_image(name, schedule, times, share):
    steps = max(1, round(times * share))
    made = samplers.sampler(name, Schedule(schedule, times), steps)
    assert len(made) == steps
    assert made.times[0] == times - 1
    assert (made.times.diff() < 0).all()
    assert (made.times >= 0).all()
    assert made.weights.isfinite().all()
    torch.testing.assert_close(made.weights[-1], torch.tensor([0, 1, 0, 0], dtype=torch.float64))


@settings(deadline=None)
@given(
    name=st.sampled_from(["ancestral", "ddim"]),
    schedule=st.sampled_from(["linear", "cosine"]),
    steps=st.integers(2, 50),
)
def test_a_step_keeps_the_marginals(name, schedule, steps):
    """A mixture of the image and noise at one time becomes one at the next time, of just its mean and variance."""
    process = Schedule(schedule, 50)
    made = samplers.sampler(name, process, steps)
    alpha, sigma = process.alpha[made.times], process.sigma[made.times]
    a, b, _, d = made.weights[:-1].unbind(1)
    torch.testing.assert_close(a * alpha[:-1] + b, alpha[1:])
    torch.testing.assert_close((a * sigma[:-1]).square() + d.square(), sigma[1:].square())


def test_the_second_order_sampler_is_nearer_to_the_exact_solution():
    """Gaussian data of variance 1/4, whose clean image is known: DDIM and DPM-Solver++ against its exact flow."""
    process = Schedule("cosine", 1000)
    variance = 0.25

    def denoise(x: Tensor, time: Tensor) -> Tensor:
        alpha, sigma = process.alpha[time], process.sigma[time]
        return variance * alpha / (variance * alpha**2 + sigma**2) * x

    start = torch.linspace(-2, 2, 9, dtype=torch.float64).reshape(1, 1, 3, 3)
    spread = (variance * process.alpha_bar + 1 - process.alpha_bar).sqrt()
    exact = start * variance**0.5 / spread[-1]
    errors = [
        (samplers.reverse(samplers.sampler(name, process, 20), denoise, None, start) - exact).abs().max()
        for name in ("ddim", "dpm_solver")
    ]
    assert errors[1] < errors[0] / 3
    assert errors[1] < 0.01


class Loop(nn.Module):
    """A reverse process over a tiny network, with as many images as are asked for."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network = nn.Conv2d(1, 1, 3, padding=1)
        self.steps = samplers.sampler(name, Schedule("cosine", 100), 7)

    def forward(self, seed: Tensor, x: Tensor) -> Tensor:
        return samplers.reverse(
            self.steps,
            lambda x, time: torch.tanh(self.network(x) + time / 100),
            lambda number, count: noise.normal(seed, count, 16, stream=number).unflatten(1, (1, 4, 4)),
            x,
        )


@pytest.mark.parametrize("name", ["ancestral", "dpm_solver"])
def test_the_exported_loop_agrees(name, tmp_path):
    torch.manual_seed(0)
    module, file = Loop(name).eval(), tmp_path / "loop.onnx"
    torch.onnx.export(
        module,
        (torch.tensor([5]), torch.randn(2, 1, 4, 4)),
        file,
        input_names=["seed", "x"],
        dynamic_shapes=(None, {0: torch.export.Dim("batch")}),
        dynamo=True,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        seed, x = torch.tensor([count]), torch.randn(count, 1, 4, 4)
        with torch.no_grad():
            expected = module(seed, x).numpy()
        (actual,) = session.run(None, {"seed": seed.numpy(), "x": x.numpy()})
        np.testing.assert_allclose(actual, expected, atol=1e-5)
