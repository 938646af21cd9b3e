"""The diffusion model: what it is trained on, guidance, images by class, filling in, pictures of the course."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data.errors import UserError
from models import ddpm
from models.blocks import denoising
from models.settings import configure
from tests.models import tiny


@pytest.fixture(scope="module")
def model(digits):
    """Trained for as long as recognisable digits need."""
    return tiny.fitted("ddpm", digits, overrides={"epochs": 30, "steps": 6})[0].eval()


@pytest.fixture(scope="module")
def free(digits):
    """Without classes, not trained."""
    return ddpm.build(tiny.settings("ddpm", conditional=False), digits.spec).eval()


def drawn(model, seed: int, count: int, label: int = -1) -> np.ndarray:
    with torch.no_grad():
        return ddpm.graph(model)(*(torch.tensor([value]) for value in (seed, count, label))).numpy()


def nearest_class(images: np.ndarray, digits) -> np.ndarray:
    means = np.stack([digits.train.images[digits.train.labels == k].mean(axis=0) for k in range(10)])
    return ((images[:, None].astype(float) - means) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_an_untrained_network_s_error_is_the_variance_of_what_it_is_to_answer(prediction, digits):
    network = ddpm.build(tiny.settings("ddpm", prediction=prediction), digits.spec)
    x_bchw = torch.as_tensor(digits.train.images[:64]).permute(0, 3, 1, 2) / 255
    noise = torch.randn(x_bchw.shape, generator=torch.Generator().manual_seed(0))
    times = torch.full((64,), 300)
    image, alpha = 2 * x_bchw - 1, network.alpha[300]
    labels = torch.zeros(64, dtype=torch.int64)
    error = denoising.errors(network, image, times, noise, labels).mean()
    power = {
        "epsilon": noise.square().mean(),
        "v": (alpha * noise - network.sigma[300] * image).square().mean(),
    }
    torch.testing.assert_close(error, power[prediction])


def test_it_draws_the_class_that_is_asked_for(model, digits):
    every = drawn(model, 5, 60)
    assert (nearest_class(every, digits) == np.arange(60) % 10).mean() > 0.8
    for k in (0, 7):
        of_class = drawn(model, 5, 60, k)
        np.testing.assert_array_equal(of_class[k::10], every[k::10])
    assert (nearest_class(drawn(model, 5, 20, 3), digits) == 3).mean() > 0.8


def test_an_image_of_a_seed_does_not_depend_on_the_count(model):
    np.testing.assert_allclose(drawn(model, 9, 13)[:5].astype(int), drawn(model, 9, 5), atol=1)
    assert (drawn(model, 9, 5) != drawn(model, 10, 5)).any()


def test_guidance_goes_on_from_no_class_to_the_class(model):
    x, labels, time = torch.randn(4, 1, 8, 8), torch.tensor([1, 2, 3, 4]), torch.tensor([400])
    with torch.no_grad():
        free = model(x, time, torch.full_like(labels, model.unknown))
        asked = model(x, time, labels)
        for guidance in (0.0, 1.0, 2.5):
            answer = free + guidance * (asked - free)
            image = (model.alpha[400] * x - model.sigma[400] * answer).clamp(-1, 1)
            torch.testing.assert_close(model.estimate(x, time, labels, guidance), image)
        torch.testing.assert_close(
            model.estimate(x, time, None, 2.5), model.estimate(x, time, labels, 0.0), atol=1e-5, rtol=0
        )


def test_a_model_without_classes_takes_no_label(free, digits):
    with torch.no_grad():
        images = ddpm.graph(free)(torch.tensor([1]), torch.tensor([3]))
    assert images.shape == (3, 8, 8, 1)
    assert ddpm.trajectory(free, 1).shape[2:] == (8, 8, 1)
    assert ddpm.fill_in(free, digits.test.images[:1], np.ones((1, 8, 8), bool)).shape == (1, 8, 8, 1)


@pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
def test_other_samplers_draw_such_images_too(sampler, model, digits):
    config = model.config
    object.__setattr__(model, "config", config.model_copy(update={"sampler": sampler, "steps": 25}))
    images = drawn(model, 5, 60)
    object.__setattr__(model, "config", config)
    assert (nearest_class(images, digits) == np.arange(60) % 10).mean() > 0.8


def test_fillings_keep_what_is_seen_and_fit_it(model, digits):
    images = digits.test.images[:40]
    missing = np.zeros(images.shape[:3], bool)
    missing[:, 4:] = True
    filled = ddpm.fill_in(model, images, missing)
    np.testing.assert_array_equal(filled[:, :4], images[:, :4])
    lower, right = filled[:, 4:] / 255, images[:, 4:] / 255
    own, others = (((lower - np.roll(right, shift, axis=0)) ** 2).mean() for shift in (0, 1))
    assert own < 0.85 * others
    hidden = np.where(missing[..., None], np.uint8(77), images)
    np.testing.assert_array_equal(
        ddpm.fill_in(model, hidden, missing), filled
    )  # what is hidden is not looked at
    with pytest.raises(ValueError, match="missing is bool"):
        ddpm.fill_in(model, images, missing[:1])


def test_a_trajectory_goes_from_noise_to_the_image_that_the_graph_draws(model):
    stages = ddpm.trajectory(model, 5)
    assert stages.dtype == np.uint8
    assert stages.shape == (10, model.config.steps + 1, 8, 8, 1)
    np.testing.assert_allclose(stages[:, -1].astype(int), drawn(model, 5, 10), atol=1)
    assert stages[:, 0].std() > 70  # clipped noise of standard deviation 127.5


def test_an_interpolation_goes_from_one_image_to_another_by_small_steps(model):
    rows = ddpm.interpolate(model, 5)
    assert rows.dtype == np.uint8
    assert rows.shape == (10, 8, 8, 8, 1)
    np.testing.assert_allclose(rows[:, 0].astype(int), drawn(model, 5, 10), atol=1)
    apart = np.abs(rows[:, 0].astype(float) - rows[:, -1]).mean()
    steps = np.abs(np.diff(rows.astype(float), axis=1)).mean(axis=(0, 2, 3, 4))
    assert (steps < 0.6 * apart).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"heads": 5}, "heads: 5 do not divide the width of 64"),
        ({"attention": 2, "widths": (18, 64)}, "heads: 4 do not divide the width of 18"),
        ({"steps": 20, "times": 10}, "steps: 20 are more than the 10 times"),
        ({"label_dropout": 0}, "label_dropout: Input should be greater than 0"),
        ({"sampler": "euler"}, "sampler"),
        ({"step": 5}, "'steps'"),
    ],
)
def test_impossible_settings_say_why(wrong, message):
    with pytest.raises(UserError, match=message):
        configure(ddpm.Config, "quick", wrong, "overrides")
