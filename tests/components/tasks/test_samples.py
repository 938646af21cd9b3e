"""Samples: nearest images, coverage and kernel distance against brute force and known cases."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA

from components.tasks import generation, samples
from data.prepared import DataSpec, Split


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(images, labels, [str(k) for k in range(len(images))])


@pytest.fixture
def data() -> SimpleNamespace:
    """Four classes of 6 x 6 pictures, each around its own mean."""
    random = np.random.default_rng(0)
    means = random.integers(30, 226, size=(4, 6, 6, 1))
    splits = {}
    for name, size in {"train": 400, "validation": 40, "test": 300}.items():
        labels = np.arange(size) % 4
        noisy = means[labels] + random.normal(0, 25, (size, 6, 6, 1))
        splits[name] = _split(np.clip(noisy, 0, 255).astype(np.uint8), labels)
    spec = DataSpec(
        name="blobs", task="classification", classes=("a", "b", "c", "d"), height=6, width=6, channels=1,
        levels=256, mean=(0.5,), std=(0.2,), sha256="0" * 64,
    )  # fmt: skip
    return SimpleNamespace(spec=spec, **splits)


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 6), st.just(2), st.just(2), st.just(1))),
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(2), st.just(2), st.just(1))),
)
@settings(max_examples=60, deadline=None)
def test_nearest_is_the_first_of_the_nearest(images, references):
    squares = ((images[:, None].astype(int) - references[None].astype(int)) ** 2).sum(axis=(2, 3, 4))
    np.testing.assert_array_equal(samples.nearest(images, references), squares.argmin(axis=1))


def test_nearest_in_chunks(data, monkeypatch):
    whole = samples.nearest(data.test.images, data.train.images)
    monkeypatch.setattr(samples, "_CHUNK", 3000)
    np.testing.assert_array_equal(samples.nearest(data.test.images, data.train.images), whole)


def test_classes_are_of_the_nearest_training_images(data):
    some = data.test.images[data.test.labels < 2]
    np.testing.assert_array_equal(samples.classes(some, data), data.test.labels[data.test.labels < 2])


@pytest.mark.parametrize(
    ("shares", "covered"), [([0.25] * 4, 4), ([0.5, 0.5, 0, 0], 2), ([0.96, 0.01, 0.03, 0], 2)]
)
def test_a_class_is_covered_from_a_tenth_of_its_fair_share_on(shares, covered):
    interval = samples.classes_covered(np.array(shares), 1024)
    assert interval.value == covered and interval.low <= covered <= interval.high


def test_kernel_distance_is_about_zero_for_the_data_itself_and_grows_with_the_fault(data):
    fresh = data.train.images[:300]
    assert samples.kernel_distance(fresh, data).low < 0 < samples.kernel_distance(fresh, data).high
    faults = [np.clip(fresh.astype(int) + shift, 0, 255).astype(np.uint8) for shift in (10, 30, 60)]
    distances = [samples.kernel_distance(images, data) for images in faults]
    assert distances[0].low > 0
    assert distances[0].value < distances[1].value < distances[2].value
    collapsed = samples.kernel_distance(np.repeat(fresh[:1], 300, axis=0), data)
    assert collapsed.low > distances[0].high


def test_kernel_distance_is_the_unbiased_estimate(data):
    few = SimpleNamespace(
        spec=data.spec, train=data.train, test=_split(data.test.images[:9], data.test.labels[:9])
    )
    images = data.validation.images[:9]
    project = samples.principal_components(data.train.images)
    x, y = project(images), project(few.test.images)

    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    def pairs(z):
        return np.mean([kernel(z[i], z[j]) for i in range(9) for j in range(9) if i != j])

    expected = pairs(x) + pairs(y) - 2 * np.mean([kernel(a, b) for a in x for b in y])
    assert samples.kernel_distance(images, few).value == pytest.approx(expected, rel=1e-9)


def test_drawn_again_no_item_meets_itself():
    kernel = np.array([[9.0, 1, 2], [1, 9, 4], [2, 4, 9]])
    # Items 0, 0, 2: the pairs of different items are 0-2, twice each way.
    assert samples._mean_pair(kernel, np.array([[2.0, 0, 1]]))[0] == pytest.approx(2.0)


def test_features_are_scikit_learns_principal_components(data):
    images = data.train.images.reshape(len(data.train), -1) / 255.0
    ours = samples.principal_components(data.train.images)(data.test.images)
    theirs = PCA(36).fit(images).transform(data.test.images.reshape(300, -1) / 255.0)
    scale = np.linalg.norm(theirs) / np.linalg.norm(ours)
    # Directions have no sign, and the kernel sees only products.
    np.testing.assert_allclose(scale**2 * ours @ ours.T, theirs @ theirs.T, atol=1e-9)


BLOCKS = [((32, 32, 1), 1, 1024), ((32, 32, 3), 2, 768), ((70, 64, 1), 3, 23 * 21), ((3, 2000, 1), 3, 666)]


@pytest.mark.parametrize(("shape", "block", "features"), BLOCKS)
def test_large_images_are_compared_as_block_sums(shape, block, features):
    image = np.random.default_rng(0).integers(0, 256, size=(2, *shape), dtype=np.uint8)
    pixels = samples._pixels(image)
    assert pixels.shape == (2, features)
    assert pixels[1, 0] == image[1, :block, :block, 0].sum(dtype=int)
    assert pixels[1, shape[2]] == image[1, :block, block : 2 * block, 0].sum(dtype=int)


def test_flat_training_images_have_no_scale_to_divide_by(data):
    flat = np.full((50, 6, 6, 1), 80, np.uint8)
    project = samples.principal_components(flat)
    assert np.isfinite(project(data.test.images)).all()


def test_generation_measures_what_there_is(data):
    answers = {"image": np.resize(data.train.images, (1024, 6, 6, 1))}
    measured = generation.measure(answers, data)
    assert measured.primary == "kernel_distance" and measured.metrics["classes_covered"].value == 4
    answers["log_likelihood"] = np.full(300, -36 * np.log(256))
    measured = generation.measure(answers, data)
    assert measured.primary == "bits_per_dim" and measured.metrics["bits_per_dim"].value == pytest.approx(8)
    assert set(generation.rows(answers, data)) == {"log_likelihood"}
