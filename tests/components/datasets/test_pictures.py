"""Sums over pixels, also of a part of the manifest that has no training image."""

import numpy as np

from components.datasets import pictures


def test_moments_are_numpy_s():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3)).astype(np.uint8)
    total, squares = pictures.moments(images)
    np.testing.assert_array_equal(total, images.sum(axis=(1, 2)))
    np.testing.assert_array_equal(squares, (images.astype(np.int64) ** 2).sum(axis=(1, 2)))


def test_no_images_have_no_moments():
    total, squares = pictures.moments(np.zeros((0, 5, 4, 3), np.uint8))
    assert total.shape == squares.shape == (0, 3)
    assert total.sum(axis=0).tolist() == [0, 0, 0]
