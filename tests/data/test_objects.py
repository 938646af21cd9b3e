"""Boxes and masks in the pixels of a picture, against pycocotools' conventions written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.objects import Annotation, Runs, beyond, clip, fill, place

WIDTH, HEIGHT = 12, 9


def annotation(box=(1, 2, 4, 3), mask=None, **more) -> Annotation:
    return Annotation(where="a.json: annotations.0", category="cat", box=box, mask=mask, **more)


def crossings(polygon: np.ndarray) -> np.ndarray:
    """Return bool [HEIGHT, WIDTH]: an odd number of edges lie to the left of the pixel's centre, pixel by pixel."""
    inside = np.zeros((HEIGHT, WIDTH), bool)
    for row, column in np.ndindex(HEIGHT, WIDTH):
        y, x = row + 0.5, column + 0.5
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if (y0 <= y) != (y1 <= y):
                inside[row, column] ^= x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x
    return inside


coordinates = st.integers(-40, 160).map(lambda tenths: tenths / 10)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=7))
def test_a_polygon_holds_the_pixels_whose_centres_it_holds(points):
    polygon = np.array(points)
    np.testing.assert_array_equal(fill(polygon.ravel(), WIDTH, HEIGHT), crossings(polygon))


def test_a_rectangle_is_as_large_as_its_box():
    assert fill([2, 3, 7, 3, 7, 5, 2, 5], WIDTH, HEIGHT).sum() == 10
    assert fill([-5, -5, 50, -5, 50, 50, -5, 50], WIDTH, HEIGHT).all()


def test_later_objects_lie_over_earlier_ones_and_several_polygons_are_one_mask():
    left, right, over = ([x, 1, x + 2, 1, x + 2, 4, x, 4] for x in (0, 6, 1))
    found = place([annotation(mask=(left, right)), annotation(mask=(over,))], WIDTH, HEIGHT, masks=True)
    assert found.error is None and found.categories == ("cat", "cat")
    assert (found.instances == 1).sum() == 3 + 6 and (found.instances == 2).sum() == 6
    np.testing.assert_array_equal(found.boxes, [[1, 2, 5, 5]] * 2)


def test_runs_go_down_the_columns():
    runs = Runs((HEIGHT + 2, 3, HEIGHT * WIDTH - HEIGHT - 5), height=HEIGHT, width=WIDTH)
    found = place([annotation(mask=runs, crowd=True)], WIDTH, HEIGHT, masks=True)
    rows, columns = np.nonzero(found.instances)
    assert rows.tolist() == [2, 3, 4] and set(columns.tolist()) == {1} and found.crowd == (True,)


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ((1, 1, 0, 4), "bbox [1, 1, 0, 4] has no area"),
        ((1, 1, 3, -2), "bbox [1, 1, 3, -2] has no area"),
        ((WIDTH, 1, 3, 3), "lies outside the picture of 12 x 9 pixels"),
        ((-3, 1, 3, 3), "lies outside the picture of 12 x 9 pixels"),
    ],
)
def test_a_box_that_cannot_be_is_told(box, told):
    found = place([annotation(), annotation(box=box)], WIDTH, HEIGHT, masks=False)
    assert found.error.startswith("a.json: annotations.0") and told in found.error


def test_a_mask_that_cannot_be_is_told():
    assert "has no segmentation" in place([annotation()], WIDTH, HEIGHT, masks=True).error
    turned = Runs((HEIGHT * WIDTH,), height=WIDTH, width=HEIGHT)
    told = place([annotation(mask=turned)], WIDTH, HEIGHT, masks=True)
    assert "segmentation.size [12, 9]" in told.error and told.instances is None


def test_a_picture_without_objects():
    found = place([], WIDTH, HEIGHT, masks=True)
    assert found.error is None and found.boxes.shape == (0, 4) and not found.instances.any()


def test_boxes_are_clipped_and_rounding_is_none():
    boxes = np.array([[-2.0, 1, 5, 4], [1, 1, WIDTH + 0.4, 4], [1, 1, 4, HEIGHT + 3]])
    np.testing.assert_array_equal(beyond(boxes, WIDTH, HEIGHT), [2, 0, 3])
    np.testing.assert_array_equal(
        clip(boxes, WIDTH, HEIGHT)[:, [0, 2, 3]], [[0, 5, 4], [1, 12, 4], [1, 4, 9]]
    )
