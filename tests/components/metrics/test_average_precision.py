"""Average precision against pycocotools, on boxes of every kind, and on resampled sets of images."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from components.metrics import average_precision as ap
from components.metrics.average_precision import EVERY_SIZE, Boxes

NUM_CLASSES = 4
RANGES = (EVERY_SIZE, (0.0, 90.0), (90.0, 260.0), (260.0, np.inf))


def scenes(seed: int, images: int = 30, queries: int = 12) -> tuple[Boxes, Boxes]:
    """Return found and true boxes: some near, some far, some without a truth, some images without anything."""
    random = np.random.default_rng(seed)
    there = random.integers(0, 6, images)
    labels = np.where(np.arange(6) < there[:, None], random.integers(0, NUM_CLASSES - 1, (images, 6)), -1)
    first = random.uniform(0, 40, (images, 6, 2))
    truth = np.concatenate([first, first + random.uniform(4, 24, (images, 6, 2))], axis=2)
    near = truth + random.normal(0, 1.5, truth.shape) * random.uniform(0, 2, (images, 6, 1))
    far = random.uniform(0, 40, (images, queries - 6, 2))
    far = np.concatenate([far, far + random.uniform(1, 24, far.shape)], axis=2)
    corners = np.concatenate([near, far], axis=1)
    corners[..., 2:] = np.maximum(corners[..., 2:], corners[..., :2] + 0.5)
    wrong = random.integers(0, NUM_CLASSES, (images, queries))
    kinds = np.where(
        random.random((images, queries)) < 0.8, np.pad(labels, ((0, 0), (0, queries - 6))), wrong
    )
    kinds = np.where(kinds < 0, wrong, kinds)
    scores = random.permutation(images * queries).reshape(images, queries) / (images * queries)
    return Boxes(corners, kinds, scores), Boxes(truth, labels)


def theirs(found: Boxes, truth: Boxes, images: np.ndarray) -> COCOeval:
    """Let pycocotools measure a set that holds ``images``, some of them more than once."""
    annotations, results = [], []
    for number, image in enumerate(images, start=1):
        for boxes, rows in ((truth, annotations), (found, results)):
            for query in np.flatnonzero(boxes.labels[image] >= 0):
                x0, y0, x1, y1 = boxes.corners[image, query].astype(float)
                row = {"image_id": number, "category_id": int(boxes.labels[image, query]) + 1}
                row |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
                row |= {"id": len(rows) + 1} if boxes is truth else {"score": boxes.scores[image, query]}
                rows.append(row)
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO()
        categories = [{"id": k + 1, "name": str(k)} for k in range(NUM_CLASSES)]
        dataset.dataset = {
            "images": [{"id": number} for number in range(1, len(images) + 1)],
            "annotations": annotations,
            "categories": categories,
        }
        dataset.createIndex()
        measured = COCOeval(dataset, dataset.loadRes(results), "bbox")
        measured.params.areaRng = [[low, min(high, 1e10)] for low, high in RANGES]
        measured.evaluate()
        measured.accumulate()
    return measured


def expected(measured: COCOeval) -> tuple[np.ndarray, np.ndarray]:
    """Return their average precision and recall [K, ranges, T], NaN where there is no object."""
    precision = measured.eval["precision"][..., -1].mean(axis=1)  # [T, K, ranges]
    recall = measured.eval["recall"][..., -1]
    return tuple(np.where(x < 0, np.nan, x).transpose(1, 2, 0) for x in (precision, recall))


def ours(matches: list, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return our average precision and recall [K, ranges, T] of one set."""
    measured = [[ap.precision_and_recall(m, counts[None]) for m in of_class] for of_class in matches]
    return tuple(np.array([[pair[k][0] for pair in row] for row in measured]) for k in (0, 1))


@pytest.mark.parametrize("seed", range(4))
def test_equals_pycocotools(seed):
    found, truth = scenes(seed)
    matches = ap.match(found, truth, NUM_CLASSES, RANGES)
    answers = ours(matches, np.ones(30, np.int64))
    for mine, other in zip(answers, expected(theirs(found, truth, np.arange(30))), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-9)
    assert np.isnan(answers[0][NUM_CLASSES - 1]).all(), "no object of the last class"


@pytest.mark.parametrize("seed", range(4))
def test_equals_pycocotools_on_a_resampled_set(seed):
    found, truth = scenes(seed)
    images = np.random.default_rng(seed).integers(30, size=30)
    matches = ap.match(found, truth, NUM_CLASSES, RANGES)
    answers = ours(matches, np.bincount(images, minlength=30))
    for mine, other in zip(answers, expected(theirs(found, truth, np.sort(images))), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)


def test_curves_equal_pycocotools():
    found, truth = scenes(5)
    matches = ap.match(found, truth, NUM_CLASSES)
    measured = theirs(found, truth, np.arange(30))
    for label in range(NUM_CLASSES - 1):
        for place in (0, 5):
            wanted = measured.eval["precision"][place, :, label, 0, -1]
            np.testing.assert_allclose(ap.curve(matches[label][0], place), wanted, rtol=0, atol=1e-9)


def test_more_than_the_most_of_a_class_do_not_count():
    random = np.random.default_rng(0)
    corners = np.tile(np.array([0.0, 0.0, 10.0, 10.0]), (1, ap.MOST + 20, 1))
    corners[0, :-1] += 30  # only the last, with the least score, is right
    scores = np.sort(random.random((1, ap.MOST + 20)))[:, ::-1]
    found = Boxes(corners, np.zeros((1, ap.MOST + 20), np.int64), scores)
    truth = Boxes(np.array([[[0.0, 0.0, 10.0, 10.0]]]), np.zeros((1, 1), np.int64))
    ((matches,),) = ap.match(found, truth, 1)
    assert len(matches.image) == ap.MOST and not matches.right.any()


def test_many_sets_at_once_are_the_same_as_one_by_one():
    found, truth = scenes(6)
    matches = ap.match(found, truth, NUM_CLASSES)[0][0]
    counts = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), size=7)
    together = ap.precision_and_recall(matches, counts)
    alone = [ap.precision_and_recall(matches, row[None]) for row in counts]
    for place in (0, 1):
        np.testing.assert_array_equal(together[place], np.concatenate([pair[place] for pair in alone]))


def test_perfect_boxes_have_a_precision_of_one():
    _, truth = scenes(1)
    found = Boxes(truth.corners, truth.labels, np.ones(truth.labels.shape))
    for of_class in ap.match(found, truth, NUM_CLASSES)[:-1]:
        precision, recall = ap.precision_and_recall(of_class[0], np.ones((1, 30), np.int64))
        assert (precision == 1).all() and (recall == 1).all()
