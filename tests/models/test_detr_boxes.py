"""Box formats and overlaps: rules that hold for all boxes, and equality with torchvision's."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import ops

from models.detr import boxes

shares = st.floats(0, 1, width=32)


@st.composite
def corners(draw, num: int = 3) -> torch.Tensor:
    """Draw ``num`` corner boxes in [0, 1], some without any area."""
    points = draw(st.lists(st.tuples(shares, shares, shares, shares), min_size=num, max_size=num))
    return torch.tensor([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in points])


@settings(max_examples=100, deadline=None)
@given(corners())
def test_there_and_back(given_boxes):
    torch.testing.assert_close(boxes.to_corners(boxes.to_centre(given_boxes)), given_boxes)
    expected = ops.box_convert(given_boxes, "xyxy", "cxcywh")
    torch.testing.assert_close(boxes.to_centre(given_boxes), expected)


def _with_area(given_boxes: torch.Tensor) -> torch.Tensor:
    """Return the boxes, a hundredth wider and higher: torchvision divides by areas as they are."""
    return given_boxes + torch.tensor([0.0, 0.0, 0.01, 0.01])


@settings(max_examples=100, deadline=None)
@given(corners(), corners(4))
def test_overlaps_are_torchvisions(a, b):
    a, b = _with_area(a), _with_area(b)
    iou, giou = boxes.overlap(a[:, None], b[None])
    torch.testing.assert_close(iou, ops.box_iou(a, b), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(giou, ops.generalized_box_iou(a, b), rtol=1e-4, atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(corners(), corners())
def test_overlaps_keep_their_bounds_even_without_an_area(a, b):
    iou, giou = boxes.overlap(a, b)
    assert ((iou >= 0) & (iou <= 1 + 1e-5)).all()
    assert ((giou >= -1 - 1e-5) & (giou <= iou + 1e-5)).all()
    for ours, swapped in zip((iou, giou), boxes.overlap(b, a), strict=True):
        torch.testing.assert_close(ours, swapped)


@settings(max_examples=50, deadline=None)
@given(corners())
def test_a_box_overlaps_itself_wholly(a):
    for value in boxes.overlap(_with_area(a), _with_area(a)):
        torch.testing.assert_close(value, torch.ones(3), rtol=1e-4, atol=1e-4)


def test_boxes_that_do_not_meet_have_a_gradient():
    a = torch.tensor([0.1, 0.1, 0.2, 0.2], requires_grad=True)
    _, giou = boxes.overlap(a, torch.tensor([0.6, 0.6, 0.9, 0.9]))
    giou.backward()
    assert (a.grad[2:] > 0).all(), "a larger box comes nearer"


@settings(max_examples=50, deadline=None)
@given(st.floats(0.002, 0.998))
def test_logit_undoes_the_sigmoid(x):
    torch.testing.assert_close(torch.sigmoid(boxes.logit(torch.tensor(x))), torch.tensor(x))


def test_logit_is_finite_at_the_ends():
    assert torch.isfinite(boxes.logit(torch.tensor([0.0, 1.0]))).all()
