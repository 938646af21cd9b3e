"""What diffusion models do with their network: where it is trained and measured, and guidance."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models.blocks import denoising
from models.blocks.diffusion import Schedule


class Told(nn.Module):
    """Answers ``share`` of the mixture, and the condition."""

    prediction = "v"

    def __init__(self, share: float = 0.0, times: int = 100) -> None:
        super().__init__()
        schedule = Schedule("cosine", times)
        self.alpha, self.sigma, self.share = schedule.alpha.float(), schedule.sigma.float(), share
        self.asked: list[int] = []

    def forward(self, mixture, times, condition):
        self.asked.append(len(mixture))
        return self.share * mixture + condition[:, None, None, None]


@given(count=st.integers(1, 300), times=st.integers(1, 1000), seed=st.integers(0, 1000))
def test_a_batch_s_times_are_one_in_each_of_equal_spans(count, times, seed):
    network = Told(times=times)
    image = torch.zeros(count, 1, 2, 2)
    drawn, noised = denoising.draw(network, image, torch.Generator().manual_seed(seed))
    assert noised.shape == image.shape
    assert drawn.min() >= 0 and drawn.max() < times
    # Sorted already, and no further from the middle of its span than a span is long.
    middles = (torch.arange(count) + 0.5) / count * times
    assert (drawn.diff() >= 0).all()
    assert (drawn - middles).abs().max() <= times / count + 1


def test_the_error_of_a_network_that_knows_is_none():
    class Knows(Told):
        def forward(self, mixture, times, image):
            alpha, sigma = denoising.mixing(self, times)
            noise = (mixture - alpha * image) / sigma
            return alpha * noise - sigma * image

    network, image = Knows(), torch.randn(5, 3, 4, 4)
    times, noised = denoising.draw(network, image, torch.Generator().manual_seed(0))
    error = denoising.errors(network, image, times, noised, image)
    torch.testing.assert_close(error, torch.zeros(5), atol=1e-9, rtol=0)
    mixture = network.alpha[times, None, None, None] * image + network.sigma[times, None, None, None] * noised
    answer = network(mixture, times, image)
    torch.testing.assert_close(denoising.implied(network, answer, mixture, times), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("guidance", [0.0, 1.0, 3.0])
def test_guidance_goes_on_from_none_to_what_is_asked_for(guidance):
    network, mixture, time = Told(0.5), torch.randn(2, 1, 3, 3), torch.tensor([60])
    asked, free = torch.tensor([1.0, 2.0]), torch.tensor([0.25, 0.5])
    image = denoising.guided(network, mixture, time, (asked,), (free,), guidance)
    answer = 0.5 * mixture + (free + guidance * (asked - free))[:, None, None, None]
    torch.testing.assert_close(image, network.alpha[60] * mixture - network.sigma[60] * answer)
    assert network.asked == [2 if guidance == 1 else 4]


@given(count=st.integers(1, 500), times=st.integers(1, 1000))
def test_a_split_is_measured_at_times_that_fill_them_evenly(count, times):
    found = denoising.even(torch.arange(count), times)
    assert found.min() >= 0 and found.max() < times
    # Of the golden ratio no gap between neighbours is greater than 2.62 of an even one.
    gaps = found.sort().values.diff(prepend=torch.tensor([0]), append=torch.tensor([times]))
    assert gaps.max() <= 2.62 * times / count + 1
    assert torch.equal(denoising.even(torch.arange(count)[count // 2 :], times), found[count // 2 :])
