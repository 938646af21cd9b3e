"""Hidden Markov models against hmmlearn, against every path of a tiny chain, and the bound on discrete pixels."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hmmlearn.hmm import GaussianHMM

import models
from data.errors import UserError
from data.prepared import DataSpec
from models.hmm import Config, baum_welch, build, decode, start
from models.hmm.baum_welch import TOPOLOGIES, Chain, Prior
from models.hmm.fill_in import conditional_mean, fill_in
from models.hmm.viterbi import best_paths
from models.run import Run
from tests.models import tiny

BOTH = pytest.mark.parametrize("topology", ["ergodic", "left_right"])
IMAGES, ROWS, WIDTH, STATES = 40, 9, 5, 4
STATES_OF = {"ergodic": 16, "left_right": 8}


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    """Rows [T, N, D] that drift from the first to the last."""
    random = np.random.default_rng(0)
    drift = np.linspace(0, 2, ROWS)[:, None, None] * random.normal(size=WIDTH)
    return torch.as_tensor(drift + random.normal(size=(ROWS, IMAGES, WIDTH)))


def chain_of(topology: str, states: int = STATES, width: int = WIDTH, seed: int = 1) -> Chain:
    """Return a chain of random parameters."""
    random = np.random.default_rng(seed)
    allowed = start.blank(states, topology, torch.zeros(states, width, dtype=torch.float64))
    first, moves = (
        torch.as_tensor(random.uniform(0.1, 1, size=tuple(part.shape))) * (part > 0)
        for part in (allowed.start, allowed.transitions)
    )
    return Chain(
        first / first.sum(),
        moves / moves.sum(dim=1, keepdim=True),
        torch.as_tensor(random.normal(size=(states, width)) * 2),
        torch.as_tensor(random.uniform(0.5, 2, size=(states, width))),
    )


def theirs_of(chain: Chain, prior: Prior, iterations: int = 1) -> GaussianHMM:
    model = GaussianHMM(
        len(chain.start),
        startprob_prior=1 + prior.smoothing,
        transmat_prior=1 + prior.smoothing,
        covars_prior=prior.strength * prior.variances.numpy(),
        covars_weight=1 + prior.strength,
        min_covar=0.0,
        n_iter=iterations,
        tol=-math.inf,
        init_params="",
    )
    model.startprob_, model.transmat_ = chain.start.numpy(), chain.transitions.numpy()
    model.means_ = chain.means.numpy()
    model.n_features = chain.means.shape[1]
    model.covars_ = chain.variances.numpy()
    return model


def sequences(x: torch.Tensor) -> tuple[np.ndarray, list[int]]:
    return x.transpose(0, 1).flatten(0, 1).numpy(), [len(x)] * x.shape[1]


def prior_of(strength: float, smoothing: float) -> Prior:
    return Prior(torch.linspace(0.5, 1.5, WIDTH, dtype=torch.float64), strength, smoothing)


@BOTH
def test_forward_and_posteriors_equal_hmmlearn_s(x, topology):
    chain = chain_of(topology)
    theirs = theirs_of(chain, prior_of(0, 0))
    likelihoods, _ = baum_welch.e_step([x], chain, topology)
    expected = [theirs.score(image) for image in x.transpose(0, 1).numpy()]
    np.testing.assert_allclose(likelihoods, expected, rtol=1e-5)
    densities = baum_welch.log_densities(baum_welch.features(x), chain)
    forward = TOPOLOGIES[topology].forward(densities, chain.start[None], chain.transitions)
    np.testing.assert_allclose(forward, expected, rtol=1e-5)
    _, posteriors, _ = TOPOLOGIES[topology].smooth(densities, chain.start[None], chain.transitions)
    expected = theirs.predict_proba(*sequences(x)).reshape(IMAGES, ROWS, STATES)
    np.testing.assert_allclose(posteriors.transpose(0, 1), expected, atol=1e-5)


@BOTH
def test_viterbi_equals_hmmlearn_s(x, topology):
    chain = chain_of(topology)
    densities = baum_welch.log_densities(baum_welch.features(x), chain)
    total, paths = best_paths(densities, chain.start, chain.transitions)
    expected_total, expected_paths = theirs_of(chain, prior_of(0, 0)).decode(*sequences(x))
    assert float(total.sum()) == pytest.approx(expected_total, rel=1e-5)
    np.testing.assert_array_equal(paths.T.flatten(), expected_paths)


@BOTH
@pytest.mark.parametrize("iterations", [1, 8])
@pytest.mark.parametrize(("strength", "smoothing"), [(0.0, 1e-3), (6.0, 0.5)])
def test_baum_welch_steps_equal_hmmlearn_s(x, topology, iterations, strength, smoothing):
    prior, ours = prior_of(strength, smoothing), chain_of(topology)
    theirs = theirs_of(ours, prior, iterations).fit(*sequences(x))
    for _ in range(iterations):
        _, counts = baum_welch.e_step(x.split(17, dim=1), ours, topology)
        ours = baum_welch.m_step(counts, ours, prior)
    np.testing.assert_allclose(ours.start, theirs.startprob_, atol=1e-5)
    np.testing.assert_allclose(ours.transitions, theirs.transmat_, atol=1e-5)
    np.testing.assert_allclose(ours.means, theirs.means_, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(ours.variances, theirs._covars_, rtol=1e-5, atol=1e-8)


@BOTH
def test_the_objective_never_falls(x, topology):
    chain, prior, noise, objectives = chain_of(topology), prior_of(5.0, 0.1), 0.01, []
    for _ in range(15):
        likelihoods, counts = baum_welch.e_step([x], chain, topology, noise)
        objectives.append(float(likelihoods.sum() + prior.log_density(chain)))
        chain = baum_welch.m_step(counts, chain, prior, noise)
    assert (np.diff(objectives) > -1e-8).all()
    assert objectives[-1] > objectives[0]


@BOTH
def test_rows_that_no_state_expects_are_still_summed_over_all_paths(topology):
    """Densities that differ by far more than float64's exponents hold; every path is summed in logarithms."""
    chain = chain_of(topology, states=3)
    random = np.random.default_rng(2)
    densities = torch.as_tensor(random.normal(size=(5, 2, 3)) * 2000)
    given = chain.start[None], chain.transitions
    paths = [
        chain.start[path[0]].log()
        + sum(chain.transitions[a, b].log() for a, b in itertools.pairwise(path))
        + sum(densities[row, :, state] for row, state in enumerate(path))
        for path in itertools.product(range(3), repeat=5)
    ]
    expected = torch.stack(paths).logsumexp(dim=0)
    topology = TOPOLOGIES[topology]
    torch.testing.assert_close(topology.forward(densities, *given), expected)
    torch.testing.assert_close(
        topology.forward(densities.float(), *(part.float() for part in given)), expected.float()
    )
    likelihoods, posteriors, moves = topology.smooth(densities.clone(), *given)
    torch.testing.assert_close(likelihoods, expected)
    torch.testing.assert_close(posteriors.sum(dim=2), torch.ones(5, 2, dtype=torch.float64))
    torch.testing.assert_close(moves.sum(), torch.tensor(8.0, dtype=torch.float64))


@BOTH
def test_graph_agrees_with_the_model(digits, topology):
    """The float32 graph computes densities another way than the model, for all classes at once."""
    family = models.family("hmm")
    model = fitted(digits, topology)
    images = torch.as_tensor(digits.test.images)
    likelihoods, posterior = family.graph(model)(images)
    joint = model(images)
    assert (joint.logsumexp(dim=1) < 0).all()
    torch.testing.assert_close(likelihoods.double(), joint.logsumexp(dim=1), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(posterior.double(), joint.softmax(dim=1), rtol=0, atol=1e-3)
    assert (joint.argmax(dim=1).numpy() == digits.test.labels).mean() > 0.7


def fitted(digits, topology: str):
    family = models.family("hmm")
    with Run("tiny-hmm") as run:
        model = family.build(tiny.settings("hmm", topology=topology, states=STATES_OF[topology]), digits.spec)
        family.fit(model, digits, run)
    return model


def test_states_go_from_the_top_to_the_bottom(digits):
    """A left to right chain starts in the first state and enters the next one or none at each row."""
    model = fitted(digits, "left_right")
    states = decode(model, digits.test.images, label=3)
    assert states.shape == (len(digits.test), 8)
    assert (states[:, 0] == 0).all()
    assert np.isin(np.diff(states, axis=1), (0, 1)).all()
    # No other image's path is likelier.
    chain, x = model.chains[3], model.middles(model.strips(torch.as_tensor(digits.test.images[:1])))
    densities = baum_welch.log_densities(baum_welch.features(x), chain, model.noise)
    best, path = best_paths(densities, chain.start, chain.transitions)
    np.testing.assert_array_equal(path[:, 0], states[0])
    assert all(_log_joint(densities[:, 0], chain, other) <= float(best) + 1e-9 for other in states)


def _log_joint(densities: torch.Tensor, chain: Chain, path: np.ndarray) -> float:
    moves = chain.transitions[path[:-1], path[1:]].log().sum()
    return float(chain.start[path[0]].log() + moves + densities[np.arange(len(path)), path].sum())


def test_a_left_right_chain_cannot_have_more_states_than_strips(digits):
    with pytest.raises(UserError, match=r"states: 5 is more than the 4 strips of an image of digits"):
        build(Config(topology="left_right", states=5, strip=2), digits.spec)


def test_strips_divide_the_height(digits):
    with pytest.raises(UserError, match=r"strip: 5 rows do not divide the 8 rows .* Did you mean 4\?"):
        build(Config(strip=5), digits.spec)


@BOTH
def test_a_strip_of_rows_is_one_long_row(digits, topology):
    """Two rows an observation, or images that are half as high and twice as wide: the same model."""
    long_spec = dataclasses.replace(digits.spec, height=4, width=16)
    strips, rows = (
        build(Config(topology=topology, states=4, strip=strip), spec)
        for strip, spec in ((2, digits.spec), (1, long_spec))
    )
    random = np.random.default_rng(0)
    for label in range(10):
        chain = chain_of(topology, width=16, seed=label)
        for model in (strips, rows):
            model.put(label, 0.1, chain)
    images = np.array(digits.test.images[:7])
    missing = random.random((7, 8, 8)) < 0.5
    joint = strips(torch.as_tensor(images))
    # The same numbers, which may lie otherwise in memory: of another kernel, the last bits are others.
    torch.testing.assert_close(joint, rows(torch.as_tensor(images.reshape(7, 4, 16, 1))))
    likelihood, _ = models.family("hmm").graph(strips)(torch.as_tensor(images))
    torch.testing.assert_close(likelihood.double(), joint.logsumexp(dim=1), rtol=1e-5, atol=1e-3)
    given = conditional_mean(strips, images, missing)
    same = conditional_mean(rows, images.reshape(7, 4, 16, 1), missing.reshape(7, 4, 16))
    np.testing.assert_allclose(given.numpy(), same.numpy().reshape(7, 8, 8, 1), rtol=1e-5)


@BOTH
def test_missing_pixels_are_the_mean_over_all_paths(topology):
    """Every class and every path of states on images of three rows of two pixels, by numpy."""
    spec = DataSpec(
        name="tiny", task="classification", classes=("a", "b"), height=3, width=2, channels=1, levels=256,
        mean=(0.5,), std=(0.3,), sha256="0",
    )  # fmt: skip
    model = build(Config(topology=topology, states=3), spec)
    for label, share in enumerate((0.3, 0.7)):
        model.put(label, share, chain_of(topology, states=3, width=2, seed=label))
    model.means.sub_(model.means.amin()).div_(model.means.amax())
    model.variances.div_(20)
    random = np.random.default_rng(3)
    images = random.integers(256, size=(4, 3, 2, 1), dtype=np.uint8)
    missing = random.random((4, 3, 2)) < 0.5
    missing[0, 1] = True  # a whole row
    expected = np.stack([_by_all_paths(model, *given) for given in zip(images, missing, strict=True)])
    means = conditional_mean(model, images, missing).numpy()[..., 0]
    np.testing.assert_allclose(means, expected, rtol=1e-9)
    whole = fill_in(model, images, missing)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole[~missing], images[~missing])
    levels = np.clip(np.round(expected * 256 - 0.5), 0, 255)
    assert np.abs(whole[..., 0].astype(int) - levels)[missing].max() <= 1


def _by_all_paths(model, image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    x = (image[..., 0].astype(np.float64) + 0.5) / 256
    weights, means = [], []
    for share, chain in zip(model.shares, model.chains, strict=True):
        start, transitions, centres, variances = (part.numpy() for part in chain.tensors())
        for path in map(list, itertools.product(range(3), repeat=3)):
            m, v = centres[path], variances[path]
            densities = np.exp(-0.5 * ((x - m) ** 2 + model.noise) / v) / np.sqrt(2 * np.pi * v)
            moves = transitions[path[:-1], path[1:]].prod() * start[path[0]] * float(share)
            weights.append(moves * densities[~missing].prod())
            means.append(m)
    return np.average(means, axis=0, weights=weights)


def test_what_is_missing_must_fit_the_images(digits):
    model = fitted(digits, "ergodic")
    images = digits.test.images[:3]
    for missing in (np.zeros((3, 8), dtype=bool), np.zeros((3, 8, 8)), np.zeros((2, 8, 8), dtype=bool)):
        with pytest.raises(ValueError, match=r"missing is bool \[3, 8, 8\] for images \[3, 8, 8, 1\], not "):
            fill_in(model, images, missing)
