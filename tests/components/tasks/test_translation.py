"""Translation: similarity against an independent implementation, errors by hand, what needs no model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from components.evaluation import image_inputs
from components.metrics.image_similarity import WINDOW, absolute_error, structural_similarity
from components.tasks import translation

SHAPES = st.tuples(st.integers(1, 3), st.integers(2, 12), st.integers(2, 12), st.sampled_from([1, 3]))


@st.composite
def image_pairs(draw):
    shape = draw(SHAPES)
    return draw(hnp.arrays(np.uint8, shape)), draw(hnp.arrays(np.uint8, shape))


def _by_scipy(image: np.ndarray, target: np.ndarray) -> float:
    """Structural similarity of one channel [H, W] by filters over the whole image, whose borders are cut off."""
    size = tuple(min(WINDOW, side) for side in image.shape)
    x, y = image.astype(float), target.astype(float)

    def blur(values: np.ndarray) -> np.ndarray:
        inner = [slice(s // 2, n - (s - 1) // 2) for s, n in zip(size, values.shape, strict=True)]
        return ndimage.uniform_filter(values, size)[tuple(inner)]

    ux, uy = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - ux * ux, blur(y * y) - uy * uy, blur(x * y) - ux * uy
    c1, c2 = 2.55**2, 7.65**2
    return float(((2 * ux * uy + c1) * (2 * cov + c2) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))).mean())


@given(image_pairs())
@settings(deadline=None, max_examples=50)
def test_similarity_equals_scipy_s(pair):
    images, targets = pair
    channels = range(images.shape[3])
    expected = [
        np.mean([_by_scipy(image[..., c], target[..., c]) for c in channels])
        for image, target in zip(images, targets, strict=True)
    ]
    np.testing.assert_allclose(structural_similarity(images, targets), expected, atol=1e-9)


@given(image_pairs())
@settings(deadline=None, max_examples=50)
def test_equal_images_are_alike_and_without_error(pair):
    images, others = pair
    np.testing.assert_allclose(structural_similarity(images, images), 1)
    assert (absolute_error(images, images) == 0).all()
    assert (structural_similarity(images, others) <= 1 + 1e-9).all()
    np.testing.assert_array_equal(absolute_error(images, others), absolute_error(others, images))


@pytest.fixture
def data() -> SimpleNamespace:
    """Two classes: black from 0, white from 255; test images that are nearly so."""

    def split(values: list[int], inputs: list[int], labels: list[int]) -> SimpleNamespace:
        fill = [
            np.array(v, np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
            for v in (values, inputs)
        ]
        return SimpleNamespace(images=fill[0], inputs=fill[1], labels=np.array(labels))

    spec = SimpleNamespace(
        classes=("black", "white"), num_classes=2, height=4, width=4, channels=1, input_channels=1
    )
    train = split([0, 0, 255, 255], [10, 20, 200, 210], [0, 0, 1, 1])
    return SimpleNamespace(train=train, test=split([51, 204, 204], [0, 255, 190], [0, 1, 1]), spec=spec)


def test_errors_by_hand(data):
    answers = {"translated": np.full((3, 4, 4, 1), 102, np.uint8)}
    measured = translation.measure(answers, data)
    assert measured.primary == "l1"
    values = {name: metric.value for name, metric in measured.metrics.items() if name != "ssim"}
    mean_image = (76.5 + 76.5 + 76.5) / 3 / 255  # the mean training image is 127.5 everywhere
    l1 = (51 + 102 + 102) / 3 / 255
    assert values == pytest.approx(
        {"l1": l1, "l1_mean_image": mean_image, "error_ratio": l1 / mean_image, "l1_nearest": 51 / 255}
    )
    assert [(row["class"], row["examples"]) for row in measured.per_class] == [("black", 1), ("white", 2)]
    assert [row["l1"] for row in measured.per_class] == pytest.approx([51 / 255, 102 / 255])
    np.testing.assert_allclose(translation.scores(answers, data), [51 / 255, 102 / 255, 102 / 255])
    for metric in measured.metrics.values():
        assert metric.low <= metric.value <= metric.high


def test_the_mean_image_has_the_ratio_one():
    error = np.array([0.1, 0.2, 0.4])
    found = image_inputs.ratio(error, error)
    assert (found.value, found.low, found.high) == (1, 1, 1)
    assert image_inputs.ratio(np.zeros(3), np.zeros(3)).value == 1


def test_a_ratio_s_interval_holds_what_resampling_gives():
    random = np.random.default_rng(0)
    theirs = random.uniform(0.1, 0.3, 400)
    ours = theirs * random.uniform(0.3, 0.5, 400)
    found = image_inputs.ratio(ours, theirs)
    drawn = random.integers(400, size=(3000, 400))
    again = ours[drawn].sum(axis=1) / theirs[drawn].sum(axis=1)
    assert [found.low, found.high] == pytest.approx(np.quantile(again, [0.025, 0.975]), abs=2e-3)


def test_pictures_show_every_class_before_any_twice():
    labels = np.array([1, 1, 1, 0, 2, 0])
    assert translation._of_each_class(labels, 5).tolist() == [3, 0, 4, 5, 1]
