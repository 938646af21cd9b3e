"""Confident learning: cleanlab's numbers, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest

from components.label_errors import confident


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities [600, 4], labels of which 15 % were drawn to be flipped, and which were."""
    random = np.random.default_rng(0)
    true = random.integers(0, 4, 600)
    labels, flipped = true.copy(), random.random(600) < 0.15
    labels[flipped] = (true[flipped] + random.integers(1, 4, flipped.sum())) % 4
    logits = random.normal(0, 1, (600, 4))
    logits[np.arange(600), true] += 2.5
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True), labels, flipped


def test_the_joint_is_cleanlab_s(noisy):
    """Of cleanlab 2.9.0: compute_confident_joint(calibrate=False), and estimate_joint."""
    probabilities, labels, _ = noisy
    joint = confident.confident_joint(probabilities, labels)
    assert joint.tolist() == [[79, 1, 2, 5], [2, 92, 8, 8], [6, 2, 88, 3], [4, 6, 3, 101]]
    found = confident.find(probabilities, labels).joint
    # It rounds the calibrated counts to whole numbers.
    assert 1 - np.trace(found) / found.sum() == pytest.approx(0.12, abs=0.001)


def test_counts_are_calibrated_to_the_labels(noisy):
    probabilities, labels, _ = noisy
    joint = confident.find(probabilities, labels).joint
    assert joint.sum(axis=1) == pytest.approx(np.bincount(labels))


def test_most_of_what_counts_as_an_error_is_one(noisy):
    probabilities, labels, flipped = noisy
    found = confident.find(probabilities, labels)
    assert (found.is_likely & flipped).sum() > 0.8 * found.is_likely.sum()
    assert found.share == found.is_likely.mean()


def test_a_wrong_label_is_the_first():
    labels = np.arange(40) % 2
    probabilities = np.where(np.eye(2)[labels] > 0, 0.98, 0.02)
    assert not confident.find(probabilities, labels).is_likely.any()
    wrong = labels.copy()
    wrong[7] = 0
    found = confident.find(probabilities, wrong)
    assert np.flatnonzero(found.is_likely).tolist() == [7] and found.given.argmin() == 7
    assert found.suggested[7] == 1


@pytest.mark.parametrize(("share", "classes"), [(0.05, 10), (0.3, 2), (0.165, 10)])
def test_at_the_threshold_noise_and_class_explain_a_label_alike(share, classes):
    each = share / (classes - 1)
    of_class = each / (1 - share + each)  # where both terms are equal
    both = of_class * (1 - share), (1 - of_class) * each
    assert both[0] == pytest.approx(both[1]) and sum(both) == pytest.approx(
        confident.threshold(share, classes)
    )


def test_without_noise_nothing_is_likely():
    assert confident.threshold(0.0, 10) == 0 == confident.threshold(1.0, 2)


def test_a_class_that_no_label_names_is_never_counted():
    labels = np.zeros(10, np.int64)
    found = confident.find(np.tile([0.2, 0.5, 0.3], (10, 1)), labels)
    assert found.joint[0].tolist() == [10, 0, 0] and not found.is_likely.any()
