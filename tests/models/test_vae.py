"""The variational autoencoder: its pixels' probabilities, its bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models import vae
from models.blocks import noise
from models.vae import logistic
from models.vae.likelihood import _bound, log_likelihood
from models.vae.network import Patches
from models.vae.sample import render
from tests.models import tiny


@pytest.fixture(scope="module")
def model(digits):
    return tiny.fitted("vae", digits)[0].eval()


@pytest.fixture(scope="module")
def conditional(digits):
    return tiny.fitted("vae", digits, overrides={"conditional": True, "epochs": 60})[0].eval()


def _mixture(seed: int, num: int, pixels: int = 3) -> logistic.Mixture:
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(3, 2, num, pixels, generator=generator, dtype=torch.float64)
    return logistic.Mixture.from_network(*parts)


@settings(deadline=None, max_examples=30)
@given(levels=st.sampled_from([2, 17, 256]), seed=st.integers(0, 1000), num=st.integers(1, 5))
def test_probabilities_of_all_levels_sum_to_one(levels, seed, num):
    mixture = _mixture(seed, num)
    every = torch.stack([mixture.log_probability(torch.full((2, 3), k), levels) for k in range(levels)])
    torch.testing.assert_close(
        every.logsumexp(dim=0), torch.zeros(2, 3, dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_probabilities_equal_scipy_s():
    mixture, levels = _mixture(1, 4), 17
    k = torch.tensor([[0, 5, 16], [3, 16, 0]])
    half = 0.5 / (levels - 1)
    x = (k / (levels - 1)).unsqueeze(-2).numpy()
    law = stats.logistic(mixture.means.numpy(), np.exp(mixture.log_scales.numpy()))
    high = np.where(x == 1, 1.0, law.cdf(x + half))
    low = np.where(x == 0, 0.0, law.cdf(x - half))
    theirs = np.log((np.exp(mixture.log_weights.numpy()) * (high - low)).sum(axis=-2))
    np.testing.assert_allclose(mixture.log_probability(k, levels), theirs, atol=1e-8)


def test_more_draws_tighten_the_bound(model, digits):
    images = digits.test.images
    bounds = []
    for draws in (1, 8, 64):
        object.__setattr__(model, "config", model.config.model_copy(update={"draws": draws}))
        bounds.append(np.mean([log_likelihood(model, images, seed).mean() for seed in range(3)]))
    assert bounds[0] < bounds[1] < bounds[2]


def test_one_draw_is_the_evidence_lower_bound(model, digits):
    """With one draw, the bound's mean over draws is the evidence lower bound: KL in closed form must agree."""
    object.__setattr__(model, "config", model.config.model_copy(update={"draws": 1}))
    images = digits.test.images[:10]
    weighted = np.stack([log_likelihood(model, images, seed) for seed in range(300)])
    x = torch.as_tensor(images).permute(0, 3, 1, 2) / 255
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        exact = [
            model(x, torch.randn(10, model.config.latents, generator=generator)).numpy() for _ in range(300)
        ]
    error = np.sqrt((weighted.var(axis=0) + np.var(exact, axis=0)) / 300)
    assert (np.abs(weighted.mean(axis=0) - np.mean(exact, axis=0)) < 5 * error).all()


def test_a_conditional_model_draws_the_class_that_is_asked_for(conditional, digits):
    sampler = vae.graph(conditional)
    every = sampler(torch.tensor([5]), torch.tensor([40]), torch.tensor([-1]))
    for k in range(10):
        of_class = sampler(torch.tensor([5]), torch.tensor([40]), torch.tensor([k]))
        assert torch.equal(every[k::10], of_class[k::10])
        others = torch.arange(40) % 10 != k
        assert (every[others] != of_class[others]).flatten(1).any(dim=1).all()
    means = np.stack([digits.train.images[digits.train.labels == k].mean(axis=0) for k in range(10)])
    distance = ((every[:, None].numpy() - means[None]) ** 2).sum(axis=(2, 3, 4))
    assert (distance.argmin(axis=1) == np.arange(40) % 10).mean() > 0.8


def test_a_conditional_likelihood_is_of_the_mixture_of_classes(conditional, digits):
    images, labels = digits.test.images, digits.test.labels
    x_bchw = torch.as_tensor(images).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        classes = torch.arange(10)[:, None].expand(10, len(images))
        by_class = torch.stack([_bound(conditional, x_bchw, of_class, 0, 0) for of_class in classes])
    mixture, bound = by_class.logsumexp(dim=0).numpy() - np.log(10), log_likelihood(conditional, images, 0)
    assert (bound <= mixture + 1e-6).all()
    assert np.mean(mixture - bound) < 0.5  # nats, of a hardly trained model
    assert (by_class.argmax(dim=0).numpy() == labels).mean() > 0.7  # the class by Bayes


def test_a_conditional_model_rebuilds_images_without_being_told_their_class(conditional, model, digits):
    images = digits.test.images
    rebuilt = vae.reconstruct(conditional, images)
    means = np.abs(images - digits.train.images.mean(axis=0)).mean()
    assert np.abs(rebuilt.astype(float) - images).mean() < 0.7 * means


def test_a_traversal_moves_one_number_of_the_code(model):
    rows = vae.traverse(model, 1)
    assert rows.shape == (8, 10, 8, 8, 1)
    changed = np.abs(rows[:, 0].astype(float) - rows[:, -1]).sum(axis=(1, 2, 3))
    assert (np.diff(changed) <= 0).all()  # the most heeded number first
    z = noise.normal(torch.tensor([1]), 1, model.config.latents)
    places = []
    for end in rows[:, -1]:
        tried = z.repeat(model.config.latents, 1)
        tried.fill_diagonal_(3.0)
        places += [k for k, image in enumerate(render(model, tried).numpy()) if (image == end).all()][:1]
    assert len(set(places)) == 8


def test_a_conditional_traversal_is_of_one_class_and_an_interpolation_of_all(conditional):
    assert vae.traverse(conditional, 0).shape == (8, 10, 8, 8, 1)
    ends = vae.interpolate(conditional, 5)[:, 0]
    sampled = vae.graph(conditional)(torch.tensor([5]), torch.tensor([8]), torch.tensor([-1]))
    np.testing.assert_allclose(ends.astype(int), sampled.numpy(), atol=1)


def test_filled_pixels_are_at_their_mean_given_the_seen_ones(digits):
    """Against codes of the prior, weighted by the seen pixels alone: right by definition, and slow."""
    model = tiny.fitted("vae", digits, overrides={"latents": 2, "epochs": 30, "draws": 512})[0].eval()
    images = digits.test.images[:6]
    missing = np.zeros((6, 8, 8), dtype=bool)
    missing[:, 6:] = True
    z = torch.randn(10_000, 2, generator=torch.Generator().manual_seed(0))
    errors = []
    with torch.no_grad():
        pixels = model.decode(z)
        for image, filled in zip(images, vae.fill_in(model, images, missing), strict=True):
            likely = pixels.log_probability(
                torch.round(torch.as_tensor(image / 255).flatten() * 16).long(), 17
            )
            weights = likely[:, :48].double().sum(dim=1).softmax(dim=0)
            expected = 255 * (weights[:, None] * pixels.mean()).sum(dim=0).reshape(8, 8).numpy()
            errors.append(np.abs(filled[6:, :, 0] - expected[6:]).mean())
    assert np.mean(errors) < 10  # of 255 grey levels: both are drawn


@pytest.mark.parametrize("kind", ["model", "conditional"])
def test_filling_in_beats_the_mean_image_and_keeps_what_is_seen(kind, request, digits):
    model = request.getfixturevalue(kind)
    images = digits.test.images
    missing = np.zeros(images.shape[:3], dtype=bool)
    missing[:, 4:] = True
    filled = vae.fill_in(model, images, missing)
    assert filled.dtype == np.uint8 and (filled[:, :4] == images[:, :4]).all()
    spoilt = np.where(missing[..., None], np.uint8(200), images)
    np.testing.assert_array_equal(vae.fill_in(model, spoilt, missing), filled)
    if kind == "conditional":  # the other is hardly trained
        mean = digits.train.images.mean(axis=0)
        assert ((filled.astype(float) - images) ** 2).mean() < 0.9 * ((mean - images)[:, 4:] ** 2).mean() / 2


def test_each_patch_of_a_large_picture_is_drawn_from_its_code():
    layer, x = Patches(5, 2, (3, 20, 12)), torch.randn(4, 5)
    codes = layer.codes(x).unflatten(-1, (3, 2, -1))
    whole = torch.zeros(4, 6, 24, 16)
    for row in range(3):
        for column in range(2):
            drawn = layer.draw(codes[:, row, column]).unflatten(-1, (6, 8, 8))
            whole[..., 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = drawn
    torch.testing.assert_close(layer(x), whole[..., :20, :12].flatten(1))


def test_only_large_pictures_are_drawn_in_patches(digits):
    for side, expected in ((8, False), (64, False), (224, True)):
        spec = replace(digits.spec, height=side, width=side)
        assert isinstance(vae.build(vae.Config.quick(), spec).decoder[-1], Patches) == expected
