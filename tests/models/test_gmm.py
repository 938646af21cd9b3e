"""Gaussian mixtures against scikit-learn, and the bound on discrete pixels against drawing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from data.prepared import DataSpec
from models.gmm import Config, build, em, fill_in
from models.gmm.fill_in import conditional_mean
from tests.models import tiny

SHAPES = pytest.mark.parametrize("covariance", ["full", "diag"])


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(0).normal(size=(300, 6)) @ np.diag([1, 2, 1, 0.5, 1, 3]) + 1)


def _start(x: torch.Tensor, covariance: str, components: int = 3) -> em.Mixture:
    spread = em.covariance(x, covariance == "full")
    log_weights = torch.tensor([0.5, 0.3, 0.2], dtype=x.dtype).log()
    return em.Mixture(log_weights, x[:components].clone(), torch.stack([spread] * components))


def _theirs(mixture: em.Mixture, covariance: str, iterations: int) -> GaussianMixture:
    precisions = torch.linalg.inv(mixture.covariances) if covariance == "full" else 1 / mixture.covariances
    return GaussianMixture(
        len(mixture.means),
        covariance_type=covariance,
        reg_covar=0.0,
        tol=0.0,
        max_iter=iterations,
        weights_init=mixture.log_weights.exp().numpy(),
        means_init=mixture.means.numpy(),
        precisions_init=precisions.numpy(),
    )


def _no_prior(x: torch.Tensor, covariance: str) -> em.Prior:
    return em.Prior(torch.zeros_like(em.covariance(x, covariance == "full")), 0.0)


@SHAPES
@pytest.mark.parametrize("iterations", [1, 10])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_em_steps_equal_scikit_learn_s(x, covariance, iterations):
    ours = _start(x, covariance)
    theirs = _theirs(ours, covariance, iterations).fit(x.numpy())
    for _ in range(iterations):
        _, responsibilities = em.e_step(x, ours)
        ours = em.m_step(x, responsibilities, _no_prior(x, covariance))
    np.testing.assert_allclose(ours.log_weights.exp(), theirs.weights_, rtol=1e-5)
    np.testing.assert_allclose(ours.means, theirs.means_, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(ours.covariances, theirs.covariances_, rtol=1e-5, atol=1e-8)
    likelihoods, responsibilities = em.e_step(x, ours)
    np.testing.assert_allclose(likelihoods, theirs.score_samples(x.numpy()), rtol=1e-5)
    np.testing.assert_allclose(responsibilities, theirs.predict_proba(x.numpy()), rtol=1e-5, atol=1e-8)


@SHAPES
def test_the_objective_never_falls(x, covariance):
    prior = em.Prior(em.covariance(x, covariance == "full"), 5.0)
    mixture, objectives = _start(x, covariance), []
    for _ in range(15):
        likelihoods, responsibilities = em.e_step(x, mixture)
        objectives.append(float(likelihoods.sum() + prior.log_density(mixture.scales)))
        mixture = em.m_step(x, responsibilities, prior)
    assert (np.diff(objectives) > -1e-8).all()
    assert objectives[-1] > objectives[0]


@SHAPES
def test_noise_in_closed_form_equals_drawn_noise(x, covariance):
    """For one Gaussian, the mean log-density of ``x`` plus noise is what ``log_joint`` says, exactly."""
    mixture = em.Mixture(torch.zeros(1, dtype=x.dtype), x[:1], em.covariance(x, covariance == "full")[None])
    variance = 0.04
    half = math.sqrt(3 * variance)  # a uniform on [-h, h] has variance h^2 / 3
    drawn = torch.empty(20000, 6, dtype=x.dtype).uniform_(
        -half, half, generator=torch.Generator().manual_seed(0)
    )
    measured = em.log_joint(x[5] + drawn, mixture)[:, 0]
    error = float(measured.std()) / math.sqrt(len(measured))
    assert abs(float(em.log_joint(x[5:6], mixture, variance)[0, 0]) - float(measured.mean())) < 4 * error


def test_a_fitted_mixture_tells_classes_apart_by_bayes(digits):
    model, _ = tiny.fitted("gmm", digits)
    joint = model(torch.as_tensor(digits.test.images[:20]))
    posterior = joint.softmax(dim=1)
    assert joint.shape == (20, 10)
    assert (joint.logsumexp(dim=1) < 0).all()
    assert (posterior.argmax(dim=1) == torch.as_tensor(digits.test.labels[:20])).double().mean() > 0.7


@SHAPES
@pytest.mark.parametrize("channels", [1, 3])
def test_missing_pixels_are_the_conditional_mean(covariance, channels):
    spec = DataSpec(
        name="tiny", task="classification", classes=("a", "b"), height=2, width=3, channels=channels, levels=256,
        mean=(0.5,) * channels, std=(0.3,) * channels, sha256="0",
    )  # fmt: skip
    dim, random = 6 * channels, np.random.default_rng(0)
    model = build(Config(components=2, covariance=covariance), spec)
    for label, share in enumerate((0.4, 0.6)):
        factors = torch.as_tensor(random.normal(size=(2, dim, dim)))
        spread = 0.01 * factors @ factors.mT + 0.02 * torch.eye(dim, dtype=torch.float64)
        means = torch.as_tensor(random.random((2, dim)))
        weights = torch.tensor([0.3, 0.7], dtype=torch.float64).log()
        model.put(
            label,
            share,
            em.Mixture(weights, means, spread if covariance == "full" else spread.diagonal(dim1=1, dim2=2)),
        )
    images = random.integers(256, size=(5, 2, 3, channels), dtype=np.uint8)
    missing = random.random((5, 2, 3)) < 0.5
    missing[1], missing[2] = missing[0], True  # two images with one pattern; nothing seen at all
    expected = np.stack([_conditional_mean(model, *given) for given in zip(images, missing, strict=True)])
    np.testing.assert_allclose(conditional_mean(model, images, missing), expected, rtol=1e-9)
    whole = fill_in(model, images, missing)
    np.testing.assert_array_equal(whole[~missing], images[~missing])
    levels = np.clip(np.round(expected * 256 - 0.5), 0, 255)
    assert np.abs(whole.astype(int) - levels)[missing].max() <= 1


def _conditional_mean(model, image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Bishop 2006, equations 2.81 and 2.82, each component by itself, in numpy; [H, W, C]."""
    x = (image.transpose(2, 0, 1).ravel() + 0.5) / 256
    gone = np.concatenate([missing.ravel()] * image.shape[2])
    weights, means = [], []
    log_weights = np.log(np.outer([0.4, 0.6], [0.3, 0.7])).ravel()
    scales = model.scales.flatten(0, 1).numpy()
    for log_weight, mean, scale in zip(log_weights, model.means.flatten(0, 1).numpy(), scales, strict=True):
        spread = np.linalg.inv(scale @ scale.T) if scale.ndim == 2 else np.diag(scale**-2.0)
        seen = spread[np.ix_(~gone, ~gone)]
        offset = np.linalg.solve(seen, x[~gone] - mean[~gone])
        square = (x[~gone] - mean[~gone]) @ offset + model.noise * np.trace(np.linalg.inv(seen))
        weights.append(log_weight - 0.5 * (square + np.linalg.slogdet(2 * np.pi * seen)[1]))
        means.append(x.copy())
        means[-1][gone] = mean[gone] + spread[np.ix_(gone, ~gone)] @ offset
    filled = np.average(means, axis=0, weights=np.exp(np.array(weights) - max(weights)))
    return filled.reshape(image.shape[2], *image.shape[:2]).transpose(1, 2, 0)


def test_matrices_that_would_take_more_than_a_gibibyte_are_variances(digits):
    spec = replace(digits.spec, height=64, width=64, channels=3, mean=(0.5,) * 3, std=(0.2,) * 3)
    assert build(Config.quick(), spec).scales.shape == (10, 3, 12288)
    assert build(Config.quick(), digits.spec).scales.shape == (10, 3, 64, 64)
