"""Image-to-image: what the discriminator sees, pictures of any size and colour, and that it learns from its input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import models
from models.blocks.batches import Batches
from models.pix2pix import Config, build, graph
from models.pix2pix.fit import validate
from tests.models import tiny


@pytest.fixture(scope="module")
def model(digit_edges):
    overrides = {"epochs": 1, "least_steps": 120}
    return tiny.fitted("pix2pix", digit_edges, overrides=overrides)[0]


def _l1(model, split) -> np.ndarray:
    with torch.no_grad():
        made = graph(model)(torch.as_tensor(split.inputs)).numpy()
    return np.abs(made.astype(float) - split.images).mean(axis=(1, 2, 3)) / 255


def test_it_does_better_than_half_of_the_mean_image(model, digit_edges):
    """The floor that the gate holds it to, after a fraction of the quick preset's steps on a fifth of the data."""
    mean_image = digit_edges.train.images.mean(axis=0)
    of_mean_image = np.abs(mean_image - digit_edges.test.images).mean() / 255
    assert _l1(model, digit_edges.test).mean() < 0.55 * of_mean_image


def test_it_follows_its_input(model, digit_edges):
    """A generator that draws the mean whatever it is shown would not mind another image's edges."""
    shuffled = replace(digit_edges.test, inputs=np.roll(digit_edges.test.inputs, 1, axis=0))
    assert _l1(model, shuffled).mean() > 1.5 * _l1(model, digit_edges.test).mean()


def test_an_answer_is_of_its_image_alone(model, digit_edges):
    images = torch.as_tensor(digit_edges.test.inputs[:9])
    with torch.no_grad():
        together = graph(model)(images).int()
        alone = torch.cat([graph(model)(image[None]) for image in images]).int()
    assert (together - alone).abs().max() <= 1  # a half rounds either way


def test_a_score_is_of_its_patch_alone(digit_edges):
    """Pixels beyond a patch's reach do not move its score, nearer ones do."""
    config = Config.quick().model_copy(update={"patch_layers": 0})
    discriminator = build(config, digit_edges.spec).discriminator
    image = torch.rand(1, 1, 8, 8, requires_grad=True)
    scores = discriminator(image, torch.rand(1, 1, 8, 8))
    assert scores.shape == (1, 8, 8)
    (gradient,) = torch.autograd.grad(scores[0, 3, 3], image)
    seen = gradient[0, 0] != 0
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[1:6, 1:6] = True  # two convolutions of 3 x 3
    assert torch.equal(seen, inside)


@pytest.mark.parametrize(("patch_layers", "side"), [(0, 16), (1, 8), (2, 4), (9, 2)])
def test_each_layer_of_patches_halves_the_picture(digit_edges, patch_layers, side):
    spec = replace(digit_edges.spec, height=16, width=16)
    discriminator = build(Config(patch_layers=patch_layers), spec).discriminator
    assert discriminator(torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)).shape == (2, side, side)


@pytest.mark.parametrize("preset", ["quick", "full"])
@pytest.mark.parametrize("shape", [(2, 2), (7, 5), (28, 28), (30, 44)])
@pytest.mark.parametrize(("channels", "input_channels"), [(3, 1), (1, 3)])
def test_pictures_of_any_size_and_colour(digit_edges, preset, shape, channels, input_channels):
    height, width = shape
    spec = replace(
        digit_edges.spec, height=height, width=width, channels=channels, input_channels=input_channels
    )
    model = build(getattr(Config, preset)(), spec).eval()
    given = torch.zeros(2, height, width, input_channels, dtype=torch.uint8)
    with torch.no_grad():
        made = graph(model)(given)
        scores = model.discriminator(torch.rand(2, channels, *shape), torch.rand(2, input_channels, *shape))
    assert made.dtype == torch.uint8
    assert made.shape == (2, height, width, channels)
    assert len(scores) == 2 and torch.isfinite(scores).all()


def test_dropout_acts_in_training_alone(digit_edges):
    config = Config.quick().model_copy(update={"dropout": 0.5})
    generator = build(config, digit_edges.spec).generator
    x = torch.rand(1, 1, 8, 8)
    with torch.no_grad():
        assert not torch.equal(generator.train()(x), generator(x))
        assert torch.equal(generator.eval()(x), generator(x))


def test_what_is_validated_is_the_mean_absolute_error(model, digit_edges):
    split = digit_edges.validation
    found = validate(model.generator, Batches(split, torch.device("cpu"), tensors=("images", "inputs")))
    assert found["l1"] == pytest.approx(_l1(model, split).mean(), abs=1 / 255)


def test_data_without_inputs_is_refused(digits, digit_edges):
    from data.errors import UserError

    digit_edges.spec.require("translation", "here")
    with pytest.raises(
        UserError, match=r"here: 'digits' is data for classification, and .* task is translation"
    ):
        digits.spec.require(models.family("pix2pix").TASK, "here")
