"""Samples: nearest images, copies and coverage against brute force and known cases."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from components.metrics import nearest
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
    np.testing.assert_array_equal(nearest.nearest(images, references), squares.argmin(axis=1))


def test_nearest_in_chunks(data, monkeypatch):
    whole = nearest.nearest(data.test.images, data.train.images)
    monkeypatch.setattr(nearest, "_CHUNK", 3000)
    np.testing.assert_array_equal(nearest.nearest(data.test.images, data.train.images), whole)


@pytest.mark.parametrize(
    ("shares", "covered"), [([0.25] * 4, 4), ([0.5, 0.5, 0, 0], 2), ([0.96, 0.01, 0.03, 0], 2)]
)
def test_a_class_is_covered_from_a_tenth_of_its_fair_share_on(shares, covered):
    interval = nearest.classes_covered(np.array(shares), 1024)
    assert interval.value == covered and interval.low <= covered <= interval.high


def test_memorised_is_what_lies_unusually_near(data):
    assert nearest.memorised(data.train.images[:200], data).value == 1
    fresh = nearest.memorised(data.validation.images, data)
    assert fresh.low <= nearest.NEAR <= fresh.high
    half = np.concatenate([data.train.images[:20], data.validation.images[:20]])
    assert nearest.memorised(half, data).value == pytest.approx(0.5, abs=0.05)


def test_distances_are_to_the_nearest(data):
    few = data.validation.images[:5]
    apart = few[:, None].astype(float) - data.train.images[None]
    expected = np.sqrt((apart**2).sum(axis=(2, 3, 4))).min(axis=1)
    np.testing.assert_allclose(nearest.distances(few, data.train.images), expected)


def test_evenly_takes_of_the_whole_order():
    assert nearest.evenly(np.arange(100)).tolist() == list(range(100))
    chosen = nearest.evenly(np.arange(10_000))
    assert len(chosen) == nearest.MOST and len(set(chosen)) == nearest.MOST
    assert chosen[0] == 0 and chosen[-1] >= 9_990 and (np.diff(chosen) <= 5).all()


BLOCKS = [((32, 32, 1), 1, 1024), ((32, 32, 3), 2, 768), ((70, 64, 1), 3, 23 * 21), ((3, 2000, 1), 3, 666)]


@pytest.mark.parametrize(("shape", "block", "features"), BLOCKS)
def test_large_images_are_compared_as_block_sums(shape, block, features):
    image = np.random.default_rng(0).integers(0, 256, size=(2, *shape), dtype=np.uint8)
    pixels = nearest._pixels(image)
    assert pixels.shape == (2, features)
    assert pixels[1, 0] == image[1, :block, :block, 0].sum(dtype=int)
    assert pixels[1, shape[2]] == image[1, :block, block : 2 * block, 0].sum(dtype=int)
