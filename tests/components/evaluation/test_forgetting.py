"""What fine-tuning taught and made forget, on made-up images: new and old classes apart, before and after pairwise."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from components.evaluation import forgetting
from components.judging import judge
from components.tasks import text_to_image
from tests.components.tasks.test_text_to_image import Told
from tests.models import tiny


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Captions of ten classes, in whose images the judge sees the class that the first pixel says."""
    monkeypatch.setattr(judge.Judge, "of", classmethod(lambda cls, spec: Told()))
    return tiny.prepare_captions(tmp_path / "prepared")


def images(classes: np.ndarray) -> np.ndarray:
    return np.broadcast_to(classes[:, None, None, None], (len(classes), 8, 8, 3)).astype(np.uint8)


def test_new_and_old_classes_are_told_apart(data):
    labels = np.array([8, 8, 8, 9, 9, 0, 1, 2, 3, 4])
    seen = np.array([8, 9, 0, 9, 9, 0, 1, 2, 5, 4])
    before = np.array([0, 0, 0, 0, 0, 0, 1, 7, 7, 7])
    found = forgetting.measure(seen, {"before": images(before), "is_new": np.arange(10) >= 8}, data, labels)
    values = {name: metric.value for name, metric in found.items()}
    assert values == {
        "new_agreement": 0.6, "new_recognised": 0.8, "old_agreement": 0.8, "old_change": pytest.approx(0.4),
    }  # fmt: skip
    assert all(
        metric.better == "higher" and metric.low <= metric.value <= metric.high for metric in found.values()
    )


def test_pairs_are_compared_and_not_two_shares(data):
    """Right in the same images there is no doubt about the difference, however few the images are."""
    labels = np.arange(8)
    seen = np.where(labels < 4, labels, 9)
    same = forgetting.measure(seen, {"before": images(seen), "is_new": np.arange(10) >= 8}, data, labels)[
        "old_change"
    ]
    assert (same.value, same.low, same.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("is_new", "names"),
    [
        (np.ones(10, bool), {"new_agreement", "new_recognised"}),
        (np.zeros(10, bool), {"old_agreement", "old_change"}),
    ],
)
def test_of_classes_that_are_not_there_nothing_is_told(data, is_new, names):
    labels = np.arange(10)
    answers = {"before": images(labels), "is_new": is_new}
    assert set(forgetting.measure(labels, answers, data, labels)) == names


def test_what_was_taught_is_measured_where_there_is_a_model_before(data):
    labels = data.test.labels
    answers = {"image": images(labels)}
    plain = text_to_image.measure(answers, data).metrics
    is_new = np.arange(10) == 4
    before = np.where(is_new[labels], 0, labels)
    tuned = text_to_image.measure(answers | {"before": images(before), "is_new": is_new}, data).metrics
    assert set(tuned) - set(plain) == {"new_agreement", "new_recognised", "old_agreement", "old_change"}
    assert tuned["new_agreement"].value == 1 and tuned["old_change"].value == 0


@pytest.mark.parametrize(("new", "rows"), [([4], 4), ([], 2), (range(10), 2)])
def test_the_model_before_is_drawn_above_the_one_after(tmp_path, data, new, rows):
    labels = data.test.labels
    is_new = np.isin(np.arange(10), list(new))
    answers = {"image": images(np.full(80, 250)), "before": images(np.full(80, 9)), "is_new": is_new}
    forgetting.draw(tmp_path / "drawn.png", answers, labels, np.array(["a red four on a black ground"] * 80))
    with Image.open(tmp_path / "drawn.png") as picture:
        pixels = np.asarray(picture.convert("L")).astype(int)
    # Down the middle of the first column: dark, bright, dark, bright, or half of it.
    column = pixels[:, 70]
    runs = [shade for shade, run in _runs(column) if run > 60 and shade in (9, 250)]
    assert runs == [9, 250] * (rows // 2)


def _runs(column: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(column)) + 1
    return [(int(part[0]), len(part)) for part in np.split(column, edges)]


def test_the_picture_is_one_of_those_of_a_fine_tuned_model_alone(tmp_path, data):
    labels = data.test.labels
    answers = {"image": images(labels), "by_seed": np.zeros((4, 8, 8, 8, 3), np.uint8)}
    before = {"before": images(labels), "is_new": np.arange(10) == 4}
    for folder, given in (("plain", answers), ("tuned", answers | before)):
        (tmp_path / folder).mkdir()
        text_to_image.draw(tmp_path / folder, given, data, text_to_image.measure(given, data))
    plain, tuned = ({path.name for path in (tmp_path / folder).iterdir()} for folder in ("plain", "tuned"))
    assert tuned - plain == {"before_and_after.png"}
