"""The generative adversarial network: the notes' blocks, both kinds, every loss, and the class that is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from data.errors import UserError
from models import gan
from models.blocks.batches import Batches
from models.gan.fit import validate
from models.settings import configure
from tests.models import tiny


@pytest.fixture(scope="module")
def model(digits):
    return tiny.fitted("gan", digits, overrides={"epochs": 150})[0]


def kinds(module: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in module if not isinstance(layer, nn.Flatten | nn.Unflatten)]


def test_blocks_are_those_of_the_notes(digits):
    model = gan.build(tiny.settings("gan"), digits.spec)
    assert kinds(model.generator.layers) == [*["Linear", "BatchNorm1d", "ReLU"] * 2, "Linear", "Sigmoid"]
    assert kinds(model.discriminator.features) == ["Linear", "LeakyReLU"] * 2
    assert isinstance(model.discriminator.score, nn.Linear)


@pytest.mark.parametrize("architecture", ["linear", "convolutional"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (17, 9, 3)])
def test_images_of_any_size(digits, architecture, shape):
    spec = digits.spec.__class__(
        **{
            **digits.spec.to_json(),
            **dict(zip(("height", "width", "channels"), shape, strict=True)),
            "mean": (0.5,) * shape[2],
            "std": (0.5,) * shape[2],
        }
    )
    for widths in ((8,), (12, 8, 4)):
        config = tiny.settings("gan", architecture=architecture, widths=widths)
        model = gan.build(config, spec)
        labels = torch.tensor([3, 3, 9])
        images = model.generator(torch.randn(3, config.latents), labels)
        assert images.shape == (3, shape[2], *shape[:2])
        assert images.min() >= 0 and images.max() <= 1
        assert model.discriminator(images, labels).shape == (3,)


@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "wasserstein_gp"])
def test_every_loss_learns(digits, loss):
    overrides = {"loss": loss, "epochs": 40, "discriminator_steps": 2 if loss == "wasserstein_gp" else 1}
    overrides["gradient_penalty"] = 10.0 if loss == "wasserstein_gp" else 0.3
    _, run = tiny.fitted("gan", digits, overrides=overrides)
    first, last = run.history[0], run.history[-1]
    assert last["validation_energy_distance"] < 0.3 * first["validation_energy_distance"]
    assert {"generator_loss", "discriminator_loss", "accuracy_real", "accuracy_fake"} <= set(last)
    assert 0 <= last["accuracy_real"] <= 1 and 0 <= last["accuracy_fake"] <= 1


def test_the_convolutional_kind_learns_without_classes(digits):
    overrides = {"architecture": "convolutional", "widths": (32, 16), "conditional": False, "epochs": 20}
    model, run = tiny.fitted("gan", digits, overrides=overrides)
    assert run.history[-1]["validation_energy_distance"] < 0.5 * run.history[0]["validation_energy_distance"]
    images = gan.graph(model)(torch.tensor([1]), torch.tensor([5]))
    assert images.shape == (5, 8, 8, 1)
    assert gan.interpolate(model, 0).shape == (8, 10, 8, 8, 1)


def test_draws_the_class_that_is_asked_for(model, digits):
    means = np.stack([digits.train.images[digits.train.labels == k].mean(axis=0) for k in range(10)])
    sampler = gan.graph(model)
    for k in range(10):
        images = sampler(torch.tensor([0]), torch.tensor([20]), torch.tensor([k])).numpy()
        nearest = ((images[:, None] - means[None]) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)
        assert (nearest == k).mean() > 0.6
        assert images.std(axis=0).max() > 20  # not one image again and again


def test_the_averaged_generator_is_used_and_the_last_one_kept(digits):
    model, run = tiny.fitted("gan", digits)
    last = run.outcome.last
    assert set(last) == set(model.state_dict())
    assert not torch.equal(last["generator.layers.0.weight"], model.generator.layers[0].weight)
    assert torch.equal(last["discriminator.score.weight"], model.discriminator.score.weight)
    assert run.outcome.best["step"] == run.outcome.steps
    assert not model.training


def test_the_energy_distance_sees_a_collapse(model, digits):
    split = Batches(digits.validation, torch.device("cpu"))
    good = validate(model.generator, split)["energy_distance"]

    class Collapsed(nn.Module):
        config = model.config

        def forward(self, z, labels):
            return model.generator(z[:1].expand_as(z), labels[:1].expand_as(labels))

    assert validate(Collapsed(), split)["energy_distance"] > 5 * max(good, 0.01)


def test_wasserstein_without_its_penalty_is_refused():
    with pytest.raises(UserError, match=r"^here: .*needs a gradient_penalty above 0"):
        configure(gan.Config, "quick", {"loss": "wasserstein_gp", "gradient_penalty": 0}, "here")


def test_a_game_that_diverges_is_told(digits):
    with pytest.raises(UserError, match=r"loss became .* Lower learning_rate"):
        tiny.fitted("gan", digits, overrides={"learning_rate": 1e30, "discriminator_learning_rate": 1e30})
