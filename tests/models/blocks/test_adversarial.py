"""Adversarial losses and penalties against their formulas written another way."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.blocks import adversarial
from models.blocks.adversarial import LOSSES

REAL, FAKE = torch.tensor([2.0, -0.5, 0.3]), torch.tensor([-1.5, 0.2, 3.0])


def test_non_saturating_is_cross_entropy_with_real_one_and_fake_zero():
    loss = LOSSES["non_saturating"]
    entropy = functional.binary_cross_entropy_with_logits
    expected = entropy(REAL, torch.ones(3)) + entropy(FAKE, torch.zeros(3))
    torch.testing.assert_close(loss.discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(loss.generator(FAKE), entropy(FAKE, torch.ones(3)))  # fake -> 1


def test_hinge():
    loss = LOSSES["hinge"]
    expected = (0 + 1.5 + 0.7) / 3 + (0 + 1.2 + 4.0) / 3
    torch.testing.assert_close(loss.discriminator(REAL, FAKE), torch.tensor(expected))
    torch.testing.assert_close(loss.generator(FAKE), torch.tensor(-1.7 / 3))


def test_wasserstein():
    loss = LOSSES["wasserstein_gp"]
    torch.testing.assert_close(loss.discriminator(REAL, FAKE), torch.tensor(1.7 / 3 - 1.8 / 3))
    torch.testing.assert_close(loss.generator(FAKE), torch.tensor(-1.7 / 3))


@pytest.mark.parametrize("name", LOSSES)
def test_a_generator_that_is_believed_pays_less(name):
    loss = LOSSES[name].generator
    assert loss(torch.tensor([2.0])) < loss(torch.tensor([0.0])) < loss(torch.tensor([-2.0]))


def test_penalties_of_a_linear_score_know_its_slope():
    slope = torch.tensor([[3.0, 4.0]])
    images = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))

    def score(x):
        return (x @ slope.T)[:, 0]

    torch.testing.assert_close(adversarial.r1_penalty(score, images), torch.tensor(0.5 * 25))
    penalty = adversarial.slope_penalty(score, images, images + 1, torch.Generator().manual_seed(0))
    torch.testing.assert_close(penalty, torch.tensor(16.0))


def test_penalties_teach_the_discriminator():
    score = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    images = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    adversarial.r1_penalty(score, images).backward()
    torch.testing.assert_close(score[0].weight.grad, score[0].weight.detach())  # of |w|^2 / 2


def test_slope_is_taken_between_real_and_fake():
    seen = []

    def score(x):
        seen.append(x.detach())
        return x.sum(dim=1)

    real, fake = torch.zeros(500, 2), torch.ones(500, 2)
    adversarial.slope_penalty(score, real, fake, torch.Generator().manual_seed(0))
    places = seen[0]
    assert torch.equal(places[:, 0], places[:, 1])  # one share for an image
    assert 0 <= places.min() < 0.05 and 0.95 < places.max() <= 1


def test_told_apart():
    accuracies = adversarial.told_apart("hinge", REAL, FAKE)
    torch.testing.assert_close(torch.stack(accuracies), torch.tensor([2 / 3, 1 / 3]))
    # A critic may lie anywhere: only the difference of its scores counts.
    for shift in (0.0, 100.0):
        accuracies = adversarial.told_apart(
            "wasserstein_gp", torch.tensor([2.0, 3.0]) + shift, torch.tensor([0.0, 1.0]) + shift
        )
        assert [float(accuracy) for accuracy in accuracies] == [1.0, 1.0]
