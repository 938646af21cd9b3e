"""The edge detector: what it finds on shapes whose edges are known, and what it must not depend on."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from data.recipes.edges import _sobel, edges

IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(3, 12), st.integers(3, 12)))


def test_a_square_has_its_outline_and_nothing_else():
    image = np.zeros((1, 16, 16), np.uint8)
    image[0, 4:12, 4:12] = 200
    found = edges(image)[0] > 0
    inside = np.zeros((16, 16), dtype=bool)
    inside[4:12, 4:12] = True
    near_outline = ndimage.binary_dilation(inside) & ~ndimage.binary_erosion(inside)
    assert not found[~near_outline].any()
    # Each side is one pixel thick, and unbroken.
    assert (
        found[3:5, 6:10].sum(axis=0).tolist() == [1] * 4
        and found[11:13, 6:10].sum(axis=0).tolist() == [1] * 4
    )
    assert (
        found[6:10, 3:5].sum(axis=1).tolist() == [1] * 4
        and found[6:10, 11:13].sum(axis=1).tolist() == [1] * 4
    )


def test_a_flat_image_has_none():
    assert not edges(np.full((2, 9, 7), 130, np.uint8)).any()


def test_a_weak_slope_counts_only_where_it_goes_on_from_a_strong_one():
    image = np.zeros((1, 12, 24), np.uint8)
    image[0, :, 4:] += 200  # strong
    image[0, :, 16:] += 40  # weak by itself: a fifth of the strong one
    found = edges(image)[0] > 0
    assert found[:, 3:5].any(axis=1).all() and not found[:, 12:].any()
    fading = np.zeros((1, 33, 12), np.uint8)
    fading[0, :, 6:] = np.linspace(200, 40, 33)[:, None]  # one line that ends as weak
    assert (edges(fading)[0] > 0)[:32, 5:7].any(axis=1).all()


@given(IMAGES)
@settings(deadline=None, max_examples=40)
def test_slopes_equal_scipy_s(images):
    across, down = _sobel(images)
    for image, right, below in zip(images.astype(np.int64), across, down, strict=True):
        np.testing.assert_array_equal(right, ndimage.sobel(image, axis=1, mode="nearest"))
        np.testing.assert_array_equal(below, ndimage.sobel(image, axis=0, mode="nearest"))


@given(IMAGES)
@settings(deadline=None, max_examples=40)
def test_an_edge_map_is_of_its_image_alone_and_black_or_white(images):
    together = edges(images)
    assert together.dtype == np.uint8 and set(np.unique(together)) <= {0, 255}
    np.testing.assert_array_equal(together, np.concatenate([edges(image[None]) for image in images]))


@given(IMAGES)
@settings(deadline=None, max_examples=40)
def test_darker_by_half_has_the_same_edges(images):
    images = images // 2 * 2
    np.testing.assert_array_equal(edges(images), edges(images // 2))
