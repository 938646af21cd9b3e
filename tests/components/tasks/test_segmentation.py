"""Overlaps against scikit-learn's, and what is left out of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sklearn.metrics import jaccard_score

from components.pictures import masks
from components.tasks import segmentation
from data.errors import UserError
from data.prepared import UNCOUNTED
from tests.models import tiny

CLASSES = 10


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return tiny.prepare_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def answers(scenes) -> dict[str, np.ndarray]:
    """The truth, with a few pixels of every image wrong and one class never answered."""
    random = np.random.default_rng(0)
    truth = scenes.test.masks
    wrong = random.random(truth.shape) < 0.1
    mask = np.where(wrong, random.integers(0, CLASSES + 1, truth.shape), truth)
    return {"mask": np.where(mask == 4, 0, mask).astype(np.uint8)}


def test_overlaps_are_scikit_learns(scenes, answers):
    measured = segmentation.measure(answers, scenes)
    truth, ours = scenes.test.masks.ravel(), answers["mask"].ravel()
    theirs = jaccard_score(truth, ours, labels=range(CLASSES + 1), average=None)
    assert [row["iou"] for row in measured.per_class] == pytest.approx(theirs[1:])
    assert measured.primary == "mean_iou"
    found = measured.metrics
    assert found["mean_iou"].value == pytest.approx(theirs.mean())
    assert found["ground_iou"].value == pytest.approx(theirs[0])
    assert found["pixel_accuracy"].value == pytest.approx((truth == ours).mean())
    for metric in found.values():
        assert metric.low < metric.value < metric.high and metric.better == "higher"
    assert measured.per_class[3]["iou"] == 0


@settings(max_examples=20, deadline=None)
@given(arrays(np.int64, 24, elements=st.integers(0, 3)))
def test_a_drawn_set_counts_an_image_as_often_as_it_is_drawn(scenes, answers, counts):
    found = segmentation.statistic(answers, scenes)(counts[None])[0]
    if not counts.any():
        assert np.isnan(found).all()
        return
    truth, ours = (
        np.repeat(values, counts, axis=0).ravel() for values in (scenes.test.masks, answers["mask"])
    )
    there = np.isin(np.arange(CLASSES + 1), np.concatenate([truth, ours]))
    theirs = jaccard_score(truth, ours, labels=range(CLASSES + 1), average=None, zero_division=0)
    np.testing.assert_allclose(found[0], theirs[there].mean())
    np.testing.assert_allclose(found[1:], np.where(there, theirs, np.nan)[1:])


def test_crowds_count_for_nothing():
    truth = np.zeros((1, 4, 4), np.uint8)
    truth[0, :2], truth[0, 2] = 1, UNCOUNTED
    answer = truth.copy()
    answer[0, 2] = 2
    shared, either = segmentation.overlaps(answer, truth, 2)
    assert shared.tolist() == either.tolist() == [[4, 8, 0]]
    answer[0, 0, 0] = 2
    shared, either = segmentation.overlaps(answer, truth, 2)
    assert shared.tolist() == [[4, 7, 0]] and either.tolist() == [[4, 8, 1]]


def test_rows_tell_the_worst_image(scenes, answers):
    worse = answers["mask"].copy()
    worse[5] = 10 - worse[5]
    rows = segmentation.rows({"mask": worse}, scenes)
    assert rows["pixel_accuracy"].argmin() == 5
    np.testing.assert_allclose(rows["pixel_accuracy"][5], (scenes.test.masks[5] == worse[5]).mean())


def test_a_test_split_without_objects_is_refused(scenes, monkeypatch):
    nothing = np.zeros_like(scenes.test.masks)
    monkeypatch.setattr(segmentation, "_truth", lambda data: nothing)
    with pytest.raises(UserError, match="no object in the test split"):
        segmentation.measure({"mask": nothing}, scenes)


def test_pictures_are_drawn_of_three_rows(scenes, answers, tmp_path: Path):
    segmentation.draw(tmp_path, answers, scenes, segmentation.measure(answers, scenes))
    assert {file.name for file in tmp_path.iterdir()} == {"masks.png", "mistakes.png"}
    width, height = Image.open(tmp_path / "masks.png").size
    assert width > 8 * 96 and height > 3 * 96


def test_masks_tint_what_they_hold_and_leave_the_ground():
    images = np.full((1, 2, 2, 1), 100, np.uint8)
    mask = np.array([[[0, 1], [2, UNCOUNTED]]], np.uint8)
    laid = masks.lay(images, mask)
    assert (laid[0, 0, 0] == 100).all()
    assert len({tuple(pixel) for pixel in laid.reshape(-1, 3).tolist()}) == 4
    assert len({tuple(colour) for colour in masks.palette()[:40].tolist()}) == 40
