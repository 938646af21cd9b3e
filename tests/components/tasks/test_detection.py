"""The detection task: answers of a made-up detector measured, by class and size, and compared."""

from __future__ import annotations

import numpy as np
import pytest

from components.bundles.signature import Tolerance
from components.project.sections import GatePolicy
from components.promotion.comparison import Difference, compare, score_both
from components.tasks import detection
from data.errors import UserError
from tests.models import tiny

QUERIES = 9


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return tiny.prepare_scenes(tmp_path_factory.mktemp("scenes"), (60, 12, 60))


class Detector:
    """Knows the test split: answers with its boxes, moved by up to ``off`` pixels, some of another class."""

    def __init__(self, data, off: float = 0.0, wrong: float = 0.0, seed: int = 0) -> None:
        self.description = {"task": "detection", "inputs": [{"name": "image"}, {"name": "size"}]}
        random = np.random.default_rng(seed)
        num = len(data.test)
        boxes = np.zeros((num, QUERIES, 4), np.float32)
        boxes[:, :6] = data.test.boxes + random.uniform(-off, off, data.test.boxes.shape) / 32
        labels = np.zeros((num, QUERIES), np.int64)
        known = np.maximum(data.test.box_labels, 0)
        labels[:, :6] = np.where(random.random(known.shape) < wrong, (known + 1) % 10, known)
        scores = np.full((num, QUERIES), 0.01, np.float32)
        scores[:, :6] = np.where(data.test.box_labels >= 0, random.uniform(0.6, 1, known.shape), 0.02)
        self.answers = {"boxes": boxes, "scores": scores, "labels": labels}
        self.images = {image.tobytes(): place for place, image in enumerate(data.test.images)}

    def predict(self, asked):
        places = [self.images[image.tobytes()] for image in asked["image"]]
        answers = {name: values[places] for name, values in self.answers.items()}
        height, width = asked["size"].T[..., None, None]
        sides = np.concatenate([width, height, width, height], axis=2)
        return answers | {"boxes": (answers["boxes"] * sides).astype(np.float32)}


def asked(scenes, **settings):
    return detection.answer(Detector(scenes, **settings).predict, scenes)


def test_the_truth_is_perfect(scenes):
    measured = detection.measure(asked(scenes), scenes)
    assert {name: metric.value for name, metric in measured.metrics.items()} == {
        name: 1.0 for name in detection.METRICS
    }
    assert all(row["ap"] == 1 for row in measured.per_class if row["examples"])
    rows = detection.rows(asked(scenes), scenes)
    assert (rows["found"] == rows["objects"]).all() and not rows["false_alarms"].any()


def test_worse_boxes_and_wrong_classes_show_where_they_should(scenes):
    moved = detection.measure(asked(scenes, off=2.0), scenes).metrics
    assert moved["ap50"].value > 0.7 and moved["ap75"].value < moved["ap50"].value - 0.1
    assert moved["ap_small"].value < moved["ap_large"].value, "two pixels are more of a small box"
    renamed = detection.measure(asked(scenes, wrong=0.3), scenes)
    assert renamed.metrics["ap50"].value == renamed.metrics["ap75"].value < 0.9
    rows = detection.rows(asked(scenes, wrong=0.3), scenes)
    np.testing.assert_array_equal(rows["found"] + rows["false_alarms"], rows["objects"])
    assert rows["false_alarms"].sum() > 10


def test_the_statistic_of_the_split_as_it_is_is_what_is_measured(scenes):
    answers = asked(scenes, off=2.0, wrong=0.2)
    measured = detection.measure(answers, scenes)
    overall, *by_class = detection.statistic(answers, scenes)(np.ones((1, 60), np.int64))[0]
    assert overall == pytest.approx(measured.metrics["ap"].value)
    expected = [np.nan if row["ap"] is None else row["ap"] for row in measured.per_class]
    np.testing.assert_allclose(by_class, expected)


def test_sizes_divide_the_training_objects_as_cocos(scenes):
    ranges = detection.size_ranges(scenes)
    train = scenes.train
    boxes = train.boxes[train.box_labels >= 0] * 32
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    (_, small), (_, medium), (_, large) = ranges["small"], ranges["medium"], ranges["large"]
    assert (areas <= small).mean() == pytest.approx(0.41, abs=0.05)
    assert (areas <= medium).mean() == pytest.approx(0.75, abs=0.05)
    assert large == np.inf and ranges["medium"][0] == small


def test_comparison_is_paired_on_the_same_images(scenes):
    good, same, bad = (
        Detector(scenes, off=1.0),
        Detector(scenes, off=1.0),
        Detector(scenes, off=1.0, wrong=0.4),
    )

    def compared(candidate: Detector, champion: Detector) -> list[Difference]:
        return compare(score_both(candidate, champion, scenes), scenes.spec.classes, GatePolicy())

    overall, *by_class = compared(good, same)
    assert (overall.value, overall.low, overall.high, overall.holds) == (0, 0, 0, True)
    assert len(by_class) == len(np.unique(scenes.test.box_labels[scenes.test.box_labels >= 0]))
    worse, *_ = compared(bad, good)
    assert worse.high < 0 and not worse.holds and worse.count == 60
    assert worse.value == pytest.approx(worse.candidate - worse.champion)
    better, *_ = compared(good, bad)
    assert better.holds and better.value == pytest.approx(-worse.value)


def test_nothing_can_be_measured_without_objects(tmp_path):
    empty = tiny.prepare_scenes(tmp_path / "empty", (8, 2, 1))  # the first of each split is empty
    with pytest.raises(UserError, match="no object in the test split"):
        detection.measure(asked(empty), empty)


def test_some_choices_may_be_otherwise():
    labels = np.arange(200).reshape(2, 100) % 7
    other = labels.copy()
    other[0, :2] += 1
    tolerance = Tolerance(0.5, exceptions=0.01)
    assert tolerance.compare(other, labels)[1] <= 1
    other[0, 2] += 1
    assert tolerance.compare(other, labels)[1] > 1
    assert Tolerance(0.5).compare(labels + (labels == 3), labels)[1] > 1
    assert np.isnan(tolerance.compare(np.array([1.0, np.nan]), np.array([1.0, 1.0]))[1])
    assert Tolerance(**tolerance.to_json()) == tolerance and "exceptions" not in Tolerance(0.5).to_json()
    assert str(tolerance) == "0.5, but for 1%"
