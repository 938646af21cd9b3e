"""What is where in a picture after its aspect was fitted: pixels, points and masks agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data import fit

FITS = ("stretch", "crop", "pad")
SIDES = st.integers(20, 90)
SIZES = st.tuples(SIDES, SIDES)
NEAREST, BILINEAR = Image.Resampling.NEAREST, Image.Resampling.BILINEAR


def ramps(size: fit.Size) -> tuple[Image.Image, Image.Image]:
    """Return two pictures whose values are their pixels' middles, across and down."""
    x = np.tile(np.arange(size[0], dtype=np.float32) + 0.5, (size[1], 1))
    y = np.tile(np.arange(size[1], dtype=np.float32)[:, None] + 0.5, (1, size[0]))
    return Image.fromarray(x), Image.fromarray(y)


@given(kind=st.sampled_from(FITS), size=SIZES, target=SIZES)
def test_a_point_lies_where_its_pixel_does(kind, size, target):
    x, y = (np.asarray(fit.lay(ramp, kind, size, target, -1, NEAREST)) for ramp in ramps(size))
    seen = np.argwhere(x >= 0)
    assert len(seen)
    points = np.stack([x[x >= 0], y[x >= 0]], axis=1)  # in the picture, of each pixel that is seen
    found = fit.move(points, kind, size, target) * target
    x0, y0, x1, y1 = fit.window(kind, size, target)
    # The nearest pixel's middle is at most half a pixel of the picture away, and half one of the target.
    reach = 0.51 * np.array([target[0] / (x1 - x0), target[1] / (y1 - y0)]) + 0.01
    assert (np.abs(found - (seen[:, ::-1] + 0.5)) <= np.maximum(reach, 0.51)).all()


@given(kind=st.sampled_from(FITS), size=SIZES, target=SIZES, data=st.data())
def test_a_box_covers_what_its_pixels_become(kind, size, target, data):
    left, top = (data.draw(st.integers(0, side - 10)) for side in size)
    box = np.array([[left, top], [left + 10, top + 10]], dtype=float)
    picture = np.zeros((size[1], size[0]), np.uint8)
    picture[top : top + 10, left : left + 10] = 1
    laid = np.asarray(fit.lay(Image.fromarray(picture), kind, size, target, 0, NEAREST))
    corners = np.clip(fit.move(box, kind, size, target), 0, 1) * target
    expected = np.zeros_like(laid)
    (x0, y0), (x1, y1) = np.floor(corners + 0.5 - 1e-6).astype(int)
    expected[y0:y1, x0:x1] = 1
    edges = 2 * (abs(x1 - x0) + abs(y1 - y0) + 2)  # what is cut may fall to either side
    assert np.abs(laid.astype(int) - expected).sum() <= edges


@given(kind=st.sampled_from(FITS), size=SIZES, target=SIZES)
def test_the_aspect_is_kept_but_for_stretch(kind, size, target):
    x0, y0, x1, y1 = fit.window(kind, size, target)
    across, down = target[0] / (x1 - x0), target[1] / (y1 - y0)
    if kind == "crop":
        assert across == pytest.approx(down)
        assert x0 >= 0 and y0 >= 0 and x1 <= size[0] + 1e-9 and y1 <= size[1] + 1e-9
    if kind == "pad":  # whole pixels: a side may be half of one off
        assert abs(size[0] * across - size[0] * min(target[0] / size[0], target[1] / size[1])) <= 0.5
        assert x0 <= 0 and y0 <= 0 and x1 >= size[0] - 1e-9 and y1 >= size[1] - 1e-9


@given(kind=st.sampled_from(FITS), size=SIZES)
def test_a_picture_of_the_size_stays_what_it_is(kind, size):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, size[::-1]).astype(np.uint8))
    np.testing.assert_array_equal(fit.lay(picture, kind, size, size, 0, BILINEAR), picture)
    np.testing.assert_allclose(fit.window(kind, size, size), (0, 0, *size))


@pytest.mark.parametrize("size", [(80, 30), (30, 80)])
@pytest.mark.parametrize("kind", FITS)
def test_a_mask_comes_back_over_its_picture(kind, size):
    picture = np.zeros(size[::-1], np.uint8)
    picture[8:27, 12:40] = 7
    picture[45:60, 8:20] = 7
    laid = fit.lay(Image.fromarray(picture), kind, size, (64, 64), 0, NEAREST)
    found = np.asarray(fit.back(laid, kind, size))
    x0, y0, x1, y1 = np.clip(np.round(fit.window(kind, size, (64, 64))), 0, [*size, *size]).astype(int)
    seen = np.zeros_like(picture, dtype=bool)
    seen[y0:y1, x0:x1] = True
    assert found.shape == picture.shape
    assert (found[seen] != picture[seen]).mean() < 0.05 and (found[~seen] > 0).sum() <= sum(size)


@given(kind=st.sampled_from(FITS), size=SIZES, target=SIZES)
def test_a_decoder_that_gives_the_whole_gives_enough(kind, size, target):
    across, down = fit.whole(kind, size, target)
    x0, y0, x1, y1 = fit.window(kind, size, target)
    assert across * (x1 - x0) >= target[0] * size[0] - 1e-6
    assert down * (y1 - y0) >= target[1] * size[1] - 1e-6
